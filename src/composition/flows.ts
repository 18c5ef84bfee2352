/** Withdrawals and top-ups, wired: their desks and what is read of them. */
import { readFileSync } from 'node:fs';
import type { ChannelDirectory } from '../channels/directory.js';
import { accountOperations, cardOperations, partyOf } from '../channels/party.js';
import type { Clock } from '../clock.js';
import { Settlement } from '../compensation/settlement.js';
import type { Config } from '../config.js';
import type { Executor } from '../engine/executor.js';
import type { Log, Router } from '../engine/ports.js';
import type { Route, RouteRequest } from '../engine/route.js';
import type { Task } from '../engine/tasks.js';
import { RecoupError } from '../errors.js';
import type { ChannelId } from '../ids.js';
import { TopUpDesk } from '../intake/top-up-desk.js';
import { parseRules, plainRule, type TopUpRule } from '../intake/top-up-rules.js';
import { WithdrawalDesk } from '../intake/withdrawal-desk.js';
import type { Database } from '../store/database.js';
import { MemberStore } from '../store/members.js';
import { SettlementStore } from '../store/settlement.js';
import { TopUpStore } from '../store/top-ups.js';
import { WithdrawalStore } from '../store/withdrawals.js';

export interface FlowSurroundings {
  readonly config: Config;
  readonly database: Database;
  readonly executor: Executor<Task>;
  readonly router: Router & { preview(request: RouteRequest): Promise<Route> };
  readonly directory: ChannelDirectory;
  readonly clock: Clock;
  readonly log: Log;
}

export interface FlowServices {
  readonly members: MemberStore;
  readonly withdrawals: WithdrawalStore;
  readonly withdrawalDesk: WithdrawalDesk;
  readonly topUps: TopUpStore;
  readonly topUpDesk: TopUpDesk;
  readonly settlement: Settlement;
}

export function openFlows(around: FlowSurroundings): FlowServices {
  const { config, database, executor, router, directory, clock } = around;
  const members = new MemberStore(database);
  const withdrawals = new WithdrawalStore(database);
  const reads = {
    member: members.find.bind(members),
    byRequest: withdrawals.findByRequest.bind(withdrawals),
    accountService: (id: ChannelId) =>
      partiesOf(directory, accountOperations).find(({ channelId }) => channelId === id) ?? null,
  };
  const { attemptWindowMs } = config;
  const desk = new WithdrawalDesk(reads, router, executor, clock, { attemptWindowMs });
  return { members, withdrawals, withdrawalDesk: desk, ...openTopUps(around) };
}

/** Those that are open and offer all of this, and whether an operator has paused them. */
const partiesOf = (directory: ChannelDirectory, operations: Parameters<typeof partyOf>[1]) =>
  directory.profiles().flatMap(({ id, paused }) => {
    const party = partyOf(directory.get(id), operations);
    return party === null ? [] : [{ ...party, paused }];
  });

function openTopUps(around: FlowSurroundings) {
  const { config, database, executor, router, directory, clock, log } = around;
  const topUps = new TopUpStore(database);
  const topUpDesk = new TopUpDesk(
    {
      byRequest: (key) => topUps.findByRequest(key),
      cards: () => partiesOf(directory, cardOperations),
      preview: (request) => router.preview(request),
    },
    executor,
    clock,
    {
      rules: rulesOf(config.topUpRules),
      payWindowMs: config.topUpPayWindowMs,
      settleAfterMs: config.settlementAgeMs,
    },
  );
  const settlement = new Settlement(
    new SettlementStore(database),
    async (task, evidence) => (await executor.run(task, evidence)).outcome,
    { intervalMs: config.settlementIntervalMs, concurrency: config.compensatorConcurrency },
    clock,
    log,
  );
  return { topUps, topUpDesk, settlement };
}

/** @throws RecoupError `top_up_rules_invalid`: better now than at the first customer. */
function rulesOf(path: string | null): readonly TopUpRule[] {
  if (path === null) return [plainRule];
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const problems = [{ field: 'RECOUP_TOP_UP_RULES', message: (error as Error).message }];
    throw new RecoupError('top_up_rules_invalid', { problems });
  }
  return parseRules(text);
}
