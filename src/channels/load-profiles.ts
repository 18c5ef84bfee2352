import { isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { RecoupError } from '../errors.js';
import { profileProblems } from './profile-problems.js';
import { channelProfileSchema, type ChannelProfile } from './profile.js';

/** What is wrong in a channel file, and where. Lines and columns count from 1. */
export interface ChannelFileProblem {
  readonly line: number;
  readonly column: number;
  /** Where in the file's structure: `channels.1.limits.daily_max_minor`. Empty for the whole. */
  readonly path: string;
  readonly message: string;
}

export interface LoadedProfile {
  readonly profile: ChannelProfile;
  /** As written, defaults not filled in: plain JSON, for keeping. `parseProfile` reads it back. */
  readonly document: unknown;
}

type Path = readonly (string | number)[];

const channelsMax = 200;
const fileCharactersMax = 2_000_000;

/**
 * Reads a channel file: YAML, or JSON, which is YAML too.
 *
 * @throws RecoupError `channels_invalid` with every problem at once in `problems`, by line.
 */
export function loadProfiles(text: string): readonly LoadedProfile[] {
  if (text.length > fileCharactersMax) {
    throw invalid([{ line: 1, column: 1, path: '', message: 'the file is too long' }]);
  }
  const lines = new LineCounter();
  // No aliases to speak of: a file of ten lines must not become a gigabyte of channels.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ pos: [offset], message }) => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col, path: '', message };
    });
    throw invalid(problems);
  }
  const at = (path: Path, message: string, onKey = false): ChannelFileProblem => {
    const { line, col } = lines.linePos(offsetOf(document, path, onKey));
    return { line, column: col, path: path.join('.'), message };
  };
  const plain = plainOf(document, at);
  const entries = listOf(plain);
  if (typeof entries === 'string') throw invalid([at([], entries)]);
  const problems: ChannelFileProblem[] = [];
  const loaded = entries.flatMap((entry, index) => {
    const checked = checkEntry(entry, ['channels', index], at);
    problems.push(...misreadCodes(document, ['channels', index, 'error_codes'], at));
    if (Array.isArray(checked)) problems.push(...checked);
    else return [checked];
    return [];
  });
  problems.push(...duplicates(entries, at));
  if (problems.length > 0) throw invalid(problems);
  return loaded;
}

/**
 * A profile kept as JSON.
 *
 * @throws RecoupError `channels_invalid`: it was written by hand or by a newer version.
 */
export function parseProfile(document: unknown): ChannelProfile {
  const checked = checkEntry(document, [], atTop);
  if (Array.isArray(checked)) throw invalid(checked);
  return checked.profile;
}

const atTop: At = (path, message) => ({ line: 1, column: 1, path: path.join('.'), message });

type At = (path: Path, message: string, onKey?: boolean) => ChannelFileProblem;

function checkEntry(entry: unknown, base: Path, at: At): LoadedProfile | ChannelFileProblem[] {
  const parsed = channelProfileSchema.safeParse(entry);
  if (!parsed.success)
    return parsed.error.issues.flatMap((issue) => issueProblems(issue, base, at));
  const problems = profileProblems(parsed.data);
  if (problems.length > 0) {
    return problems.map(({ path, message, onKey }) => at([...base, ...path], message, onKey));
  }
  return { profile: parsed.data, document: entry };
}

function issueProblems(issue: z.core.$ZodIssue, base: Path, at: At): ChannelFileProblem[] {
  const path = [...base, ...issue.path.map((key) => (typeof key === 'number' ? key : String(key)))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => at([...path, key], `there is no field ${key}`, true));
  }
  // A key of the wrong form is to be found at the key, not at its value.
  const onKey = issue.code === 'invalid_key';
  const message = onKey ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [at(path, message, onKey)];
}

function duplicates(entries: readonly unknown[], at: At): ChannelFileProblem[] {
  const seen = new Set<unknown>();
  return entries.flatMap((entry, index) => {
    const id: unknown = (entry as { id?: unknown } | null)?.id;
    if (id === undefined) return [];
    if (seen.has(id)) return [at(['channels', index, 'id'], 'this id stands twice')];
    seen.add(id);
    return [];
  });
}

function plainOf(document: Document, at: At): unknown {
  try {
    return document.toJS({ maxAliasCount: 50 });
  } catch (error) {
    throw invalid([at([], (error as Error).message)]);
  }
}

/** 0000 without quotes is the number 0 to YAML: the channel's success would be a code of nobody's. */
function misreadCodes(document: Document, path: Path, at: At): ChannelFileProblem[] {
  const codes = document.getIn(path, true);
  const keys = isMap(codes) ? codes.items.map(({ key }) => key).filter(isScalar) : [];
  return keys
    .filter(({ value, source }) => typeof value !== 'string' && source !== String(value))
    .map(({ value, source }) =>
      at([...path, String(value)], `without quotes YAML reads ${source} as ${String(value)}`, true),
    );
}

function listOf(plain: unknown): readonly unknown[] | string {
  const shape = 'the file holds one field, `channels`, with a list of channels';
  if (typeof plain !== 'object' || plain === null || !('channels' in plain)) return shape;
  const { channels } = plain;
  if (!Array.isArray(channels) || Object.keys(plain).length > 1) return shape;
  if (channels.length === 0) return 'the list of channels is empty';
  return channels.length > channelsMax ? `there are more than ${channelsMax} channels` : channels;
}

/** Where a path stands in the text; for what is missing, where its nearest parent stands. */
function offsetOf(document: Document, path: Path, onKey: boolean): number {
  for (let length = path.length; length > 0; length -= 1) {
    const [parentPath, key] = [path.slice(0, length - 1), path[length - 1]];
    const parent = document.getIn(parentPath, true);
    if (isMap(parent)) {
      const pair = parent.items.find(
        (item) => isScalar(item.key) && String(item.key.value) === String(key),
      );
      const value = pair?.value as Node | null | undefined;
      // A missing value of a present key is reported at the key.
      const node = onKey || !value?.range || length < path.length ? pair?.key : value;
      const offset = (node as Node | undefined)?.range?.[0];
      if (offset !== undefined) return offset;
      continue;
    }
    const offset = (document.getIn(path.slice(0, length), true) as Node | undefined)?.range?.[0];
    if (offset !== undefined) return offset;
  }
  return 0;
}

function invalid(problems: readonly ChannelFileProblem[]): RecoupError {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column);
  return new RecoupError('channels_invalid', { problems: sorted });
}
