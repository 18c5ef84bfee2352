import { openSecrets } from '../notices/destination.js';
import type { DestinationRecord } from '../notices/records.js';
import { fail, ok, warn, type Finding } from './doctor-finding.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether this process could send to each destination, and what waits there. */
export const checkNotices = (
  destinations: readonly DestinationRecord[],
  env: Environment,
): readonly Finding[] => destinations.flatMap((one) => findingsAbout(one, env));

function findingsAbout(
  { id, secretEnvs, paused, exhausted, waiting }: DestinationRecord,
  env: Environment,
): Finding[] {
  const name = `notices to ${id}`;
  const findings: Finding[] = [];
  const secrets = openSecrets(secretEnvs, env);
  if (secrets.kind === 'missing') {
    findings.push(fail(name, secrets.problem, 'Set it where workers run.'));
  }
  if (paused !== null) {
    const detail = `paused: ${paused.why}; ${waiting} wait`;
    findings.push(warn(name, detail, `Run \`recoup notices destinations resume ${id}\` when due.`));
  }
  if (exhausted > 0) {
    const detail = `${exhausted} given up after a day of tries`;
    findings.push(warn(name, detail, 'See `recoup cases list --source notice`.'));
  }
  return findings.length > 0 ? findings : [ok(name, 'secrets are there')];
}
