/**
 * Cards that the card system does not credit in time: what the sandboxes' bad day (`--faults realistic`)
 * has too little of for a minute. Like all of it, it keeps within what the card system promises.
 */

/** As `POST /_faults` of a sandbox takes it. */
interface Rule {
  readonly channel: string;
  readonly operation: string;
  readonly fault: string;
  readonly accountToken?: string;
  readonly probability?: number;
  readonly nth?: number;
  readonly params?: Readonly<Record<string, number | string>>;
}

/** What becomes of the credit. */
export type Trouble = 'never_arrives' | 'arrives_after_the_void' | 'refused';

const troubles: readonly Trouble[] = ['never_arrives', 'arrives_after_the_void', 'refused'];

/** One top-up in twelve. */
const troubleOf = (index: number): Trouble | null =>
  index % 12 === 3 ? (troubles[Math.floor(index / 12) % troubles.length] ?? null) : null;

/** The card of a top-up. */
export const cardOf = (index: number): string => `tok_ok_${troubleOf(index) ?? 'card'}_${index}`;

/** For so many top-ups. */
export function cardFaults(count: number): readonly Rule[] {
  const troubled = Array.from({ length: count }, (_, index) => {
    const trouble = troubleOf(index);
    return trouble === null ? [] : rulesOf[trouble](cardOf(index));
  });
  return [
    ...troubled.flat(),
    { channel: 'cards', operation: 'close', fault: 'timeout_after', probability: 0.1 },
  ];
}

/** Longer than a credit is insisted on (`RECOUP_SETTLEMENT_AGE_MS` in scenario.ts), and than voiding takes. */
const veryLateMs = 7_000;

const rulesOf: Readonly<Record<Trouble, (accountToken: string) => readonly Rule[]>> = {
  never_arrives: (accountToken) => [credit('timeout_before', accountToken)],
  arrives_after_the_void: (accountToken) => [
    { ...credit('late_effect', accountToken), nth: 1, params: { delay_ms: veryLateMs } },
    credit('timeout_before', accountToken),
  ],
  refused: (accountToken) => [
    { ...credit('decline', accountToken), params: { outcome: 'account_closed' } },
  ],
};

const credit = (fault: string, accountToken: string): Rule => ({
  channel: 'cards',
  operation: 'credit',
  fault,
  accountToken,
});
