/** Withdrawals and top-ups, wired: their desks and what is read of them. */
import type { ChannelDirectory } from './channels/directory.js';
import { accountOperations, partyOf } from './channels/party.js';
import type { Clock } from './clock.js';
import type { Config } from './config.js';
import type { Executor } from './engine/executor.js';
import type { Router } from './engine/ports.js';
import type { Task } from './engine/tasks.js';
import type { ChannelId } from './ids.js';
import { WithdrawalDesk } from './intake/withdrawal-desk.js';
import type { Database } from './store/database.js';
import { MemberStore } from './store/members.js';
import { WithdrawalStore } from './store/withdrawals.js';

export interface FlowSurroundings {
  readonly config: Config;
  readonly database: Database;
  readonly executor: Executor<Task>;
  readonly router: Router;
  readonly directory: ChannelDirectory;
  readonly clock: Clock;
}

export interface FlowServices {
  readonly members: MemberStore;
  readonly withdrawals: WithdrawalStore;
  readonly withdrawalDesk: WithdrawalDesk;
}

export function openFlows(around: FlowSurroundings): FlowServices {
  const { config, database, executor, router, directory, clock } = around;
  const members = new MemberStore(database);
  const withdrawals = new WithdrawalStore(database);
  const reads = {
    member: members.find.bind(members),
    byRequest: withdrawals.findByRequest.bind(withdrawals),
    accountService: (id: ChannelId) => partyOf(directory.get(id), accountOperations),
  };
  const { attemptWindowMs } = config;
  const desk = new WithdrawalDesk(reads, router, executor, clock, { attemptWindowMs });
  return { members, withdrawals, withdrawalDesk: desk };
}
