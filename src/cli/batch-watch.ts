import cliProgress from 'cli-progress';
import type { Services } from '../composition/root.js';
import type { TaskId } from '../ids.js';
import type { BatchProgress } from '../intake/batch.js';
import { formatDecimalAmount } from '../money.js';
import { tell } from './command.js';

const lookMs = 500;
const lineMs = 5_000;

export const rowsOf = (p: BatchProgress): number => p.pending + p.started + p.rejected;

/** Rows whose end is known, or that wait for a person. */
const rowsEnded = (p: BatchProgress): number => p.rejected + p.succeeded + p.failed + p.needsReview;

/** Shows how far a batch is until it is done or paused, or the signal says stop. */
export async function watchBatch(
  { batchDesk, batches, clock }: Services,
  id: TaskId,
  stop: AbortSignal,
): Promise<void> {
  const show = process.stderr.isTTY ? bar() : lines();
  try {
    while (!stop.aborted) {
      // The state first: what is counted after it can only be further.
      const { state } = await batchDesk.find(id);
      const progress = await batches.progress(id);
      show.update(progress);
      if (state === 'done' || state === 'refused' || state === 'paused') return;
      await clock.sleep(lookMs, stop);
    }
  } finally {
    show.end();
  }
}

interface Display {
  update(progress: BatchProgress): void;
  end(): void;
}

function bar(): Display {
  const format =
    '{bar} {percentage} % | {value}/{total} | collected {collected} | failed {failed} | ' +
    'review {review} | ETA {eta_formatted}';
  const display = new cliProgress.SingleBar({
    format,
    stream: process.stderr,
    hideCursor: true,
    etaBuffer: 40,
  });
  let begun = false;
  return {
    update(progress) {
      const facts = {
        collected: formatDecimalAmount(progress.collectedMinor),
        failed: progress.failed,
        review: progress.needsReview,
      };
      if (!begun) display.start(rowsOf(progress), 0, facts);
      begun = true;
      display.update(rowsEnded(progress), facts);
    },
    end: () => display.stop(),
  };
}

function lines(): Display {
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let last = '';
  const say = (progress: BatchProgress): void => {
    const { succeeded, failed, needsReview, processing, pending } = progress;
    const text =
      `${rowsEnded(progress)}/${rowsOf(progress)} rows ended: ${succeeded} collected ` +
      `(${formatDecimalAmount(progress.collectedMinor)}), ${failed} failed, ${needsReview} for ` +
      `review; ${processing} under way, ${pending} waiting`;
    if (text !== last) tell(text);
    last = text;
  };
  let latest: BatchProgress | null = null;
  return {
    update(progress) {
      latest = progress;
      if (performance.now() - toldAtMs < lineMs) return;
      toldAtMs = performance.now();
      say(progress);
    },
    end() {
      if (latest !== null) say(latest);
    },
  };
}
