import type { TaskId } from '../ids.js';
import type { Carrier } from './ports.js';

/** What a finding of the active check can become. `compensation/` and `store/` provide it. */
export interface Findings {
  /** Looks at the task again now; what is found in order closes by itself. */
  lookAgain(task: TaskId): Promise<{ readonly inOrder: boolean }>;
  /** False when it was closed before. It is not opened again. */
  writeOff(no: number, resolution: string): Promise<boolean>;
}

export function findingCarrier(findings: Findings): Carrier {
  return async ({ case: about, resolution, by, approvedBy }) => {
    if (resolution.action === 'ask_again') {
      if (about.taskId === null) return { kind: 'refused', outcome: 'the next sweep looks again' };
      const { inOrder } = await findings.lookAgain(about.taskId);
      return { kind: 'done', outcome: inOrder ? 'found in order' : 'looked again: as before' };
    }
    if (resolution.action !== 'write_off') {
      return { kind: 'refused', outcome: 'a finding can only be looked at again or written off' };
    }
    const told = `written off: ${resolution.reason} (${by}, approved by ${approvedBy})`;
    if (await findings.writeOff(about.no, told)) return { kind: 'done', outcome: 'written off' };
    // It may have been us, before a crash.
    return about.resolution === told
      ? { kind: 'done', outcome: 'written off' }
      : { kind: 'refused', outcome: 'it was closed before' };
  };
}
