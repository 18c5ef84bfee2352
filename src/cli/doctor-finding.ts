export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail';
  readonly name: string;
  readonly detail: string;
  /** What to do; empty when all is well. */
  readonly action: string;
  readonly unreachable?: boolean;
}

export const ok = (name: string, detail: string): Finding => ({
  status: 'ok',
  name,
  detail,
  action: '',
});

export const warn = (name: string, detail: string, action: string): Finding => ({
  status: 'warn',
  name,
  detail,
  action,
});

export const fail = (name: string, detail: string, action: string): Finding => ({
  status: 'fail',
  name,
  detail,
  action,
});
