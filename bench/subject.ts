/**
 * One thing that is measured, in a process of its own, so that its CPU and memory are its own. The
 * parent says `prepare`, looks at the stores' counters, says `go`, and looks at them again.
 */
import { readFileSync } from 'node:fs';

/** One figure of the table: so much work, so much of it at once. */
export interface Load {
  readonly inFlight: number;
  readonly count: number;
}

export interface Measured {
  readonly count: number;
  readonly seconds: number;
  /** Latency beyond what the channel itself took, ms. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
  /** The most memory the measured process ever had resident, MiB. */
  readonly peakMib: number;
  /** What else the subject counts: CPU of its helpers, round trips. */
  readonly extra: Readonly<Record<string, number>>;
}

export interface Prepared {
  /** Resolves when all is done; the latency beyond the channel of each, ms. */
  run(): Promise<Float64Array>;
  /** The process whose memory counts, where it is not this one. */
  readonly pid?: number;
  /** Read before and after the run; the differences are reported. */
  counters?(): Promise<Readonly<Record<string, number>>>;
}

export interface Subject {
  /** What is to be there before the clock starts. */
  prepare(load: Load): Promise<Prepared>;
  close(): Promise<void>;
}

export type Order = { readonly prepare: Load } | { readonly go: true } | { readonly end: true };
export type Answer =
  | { readonly ready: true }
  | { readonly prepared: true }
  | { readonly measured: Measured }
  | { readonly broken: string };

const tell = (answer: Answer): void => void process.send?.(answer);

const broken = (error: unknown): void =>
  tell({ broken: error instanceof Error ? (error.stack ?? error.message) : String(error) });

/** Serves the parent until it says `end` or is gone. */
export async function serve(open: () => Promise<Subject>): Promise<void> {
  let subject: Subject | null = null;
  let prepared: Prepared | null = null;
  const end = async (): Promise<void> => {
    const closing = subject;
    subject = null;
    await closing?.close();
    process.exit(process.exitCode ?? 0);
  };
  const obey = async (order: Order): Promise<void> => {
    if ('end' in order) return await end();
    if (subject === null) throw new Error('not open');
    if ('prepare' in order) {
      prepared = await subject.prepare(order.prepare);
      tell({ prepared: true });
    } else if (prepared !== null) {
      tell({ measured: await measure(prepared) });
    }
  };
  process.on('message', (order: Order) => void obey(order).catch(broken));
  process.once('disconnect', () => void end());
  try {
    subject = await open();
    tell({ ready: true });
  } catch (error) {
    broken(error);
  }
}

async function measure(prepared: Prepared): Promise<Measured> {
  const before = await prepared.counters?.();
  const cpu = process.cpuUsage();
  const beganMs = performance.now();
  const latencies = await prepared.run();
  const seconds = (performance.now() - beganMs) / 1_000;
  const used = process.cpuUsage(cpu);
  const after = await prepared.counters?.();
  const extra = Object.entries(after ?? {}).map(([name, n]) => [name, n - (before?.[name] ?? 0)]);
  latencies.sort();
  return {
    count: latencies.length,
    seconds,
    p50Ms: latencies[Math.floor(latencies.length * 0.5)] ?? 0,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0,
    cpuMs: (used.user + used.system) / 1_000,
    peakMib: peakMib(prepared.pid ?? process.pid),
    extra: Object.fromEntries(extra) as Record<string, number>,
  };
}

/** `inFlight` lanes work through `count` items; `once` gives the time that counts, ms. */
export async function lanes(
  { count, inFlight }: Load,
  once: (index: number) => Promise<number>,
): Promise<Float64Array> {
  const latencies = new Float64Array(count);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      latencies[index] = await once(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
  return latencies;
}

/** From the kernel; 0 where it does not tell (other systems than Linux). */
export function peakMib(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1_024);
  } catch {
    return 0;
  }
}

/** CPU that a process has used, ms, those of its children that have ended included. */
export function cpuMsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    // utime, stime, cutime, cstime in hundredths of a second.
    return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * 10;
  } catch {
    return 0;
  }
}
