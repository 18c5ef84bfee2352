// The habits of this project that a linter does not know. `node scripts/tidy.mjs [folder]`

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { projectDir } from './project.mjs';

const codeFolders = ['src', 'test', 'bench', 'scripts', 'migrations', 'examples'];
const skippedFolders = ['node_modules', 'dist', 'coverage', '.recoup', '.git'];
const binaryEndings = /\.(png|jpe?g|gif|ico|woff2?|gz|zip|pdf)$/;

const kebabCase = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/;
/** Migrations are numbered, and the number is set off by an underscore. */
const migrationName = /^[0-9]+_[a-z0-9_-]+(\.[a-z0-9]+)*$/;
const bannedWord = /(^|[-.])(utils?|helpers?|common|managers?|impl)([-.]|$)/;

const textRules = [
  [/\bTO[D]O\b|\bFIX[M]E\b/, 'unfinished work belongs in an issue, not in a comment'],
  [/\bregistry\.[a-z0-9-]+\.[a-z]+|\bnpm[m]irror\b/, 'names a package registry'],
  [/(^|[\s'"`(=:])[/](work|root|home)[/]/, 'holds a path of one machine'],
  [
    /(oxlint|eslint)-disable(?!.* -- \S)/,
    'switches a lint rule off without saying why (`-- reason`)',
  ],
  [/@ts-(ignore|nocheck)/, 'switches the type checker off'],
];

/** @returns {string[]} one line a problem, empty when all is tidy */
export function tidyProblems(folder) {
  return filesOf(folder).flatMap((file) => [...nameProblems(file), ...textProblems(folder, file)]);
}

function nameProblems(file) {
  if (!codeFolders.includes(file.split('/')[0])) return [];
  const name = basename(file);
  const problems = [];
  const rightCase =
    kebabCase.test(name) || (file.startsWith('migrations/') && migrationName.test(name));
  if (!rightCase) problems.push(`${file}: file names are kebab-case`);
  if (bannedWord.test(name)) problems.push(`${file}: name it for its concept`);
  return problems;
}

function textProblems(folder, file) {
  if (binaryEndings.test(file)) return [];
  const lines = readFileSync(join(folder, file), 'utf8').split('\n');
  if (file === 'package-lock.json') {
    const line = lines.findIndex((text) => text.includes('"resolved"'));
    return line === -1
      ? []
      : [`${file}:${line + 1}: an address of a registry; .npmrc leaves it out`];
  }
  return lines.flatMap((text, index) =>
    textRules
      .filter(([pattern]) => pattern.test(text))
      .map(([, why]) => `${file}:${index + 1}: ${why}`),
  );
}

/** What git knows or would add; every file, where the folder is not a repository. */
function filesOf(folder) {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const git = spawnSync('git', args, { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 26 });
  const listed = git.status === 0 ? git.stdout.split('\0').filter(Boolean) : everyFile(folder);
  const present = new Set(everyFile(folder));
  return [...new Set(listed)].filter((file) => present.has(file)).sort();
}

function everyFile(folder, inside = folder) {
  return readdirSync(inside, { withFileTypes: true }).flatMap((entry) => {
    const path = join(inside, entry.name);
    if (entry.isDirectory()) {
      return skippedFolders.includes(entry.name) ? [] : everyFile(folder, path);
    }
    return entry.isFile() ? [relative(folder, path).split(sep).join('/')] : [];
  });
}

if (process.argv[1] === import.meta.filename) {
  const problems = tidyProblems(process.argv[2] ?? projectDir);
  for (const problem of problems) console.log(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
