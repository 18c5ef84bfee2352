export type * from './evidence.js';
export { figuresByFlow, type FlowFigures } from './by-flow.js';
export { judge, sentUnannounced } from './judge.js';
export { readLogs, type OrderStory, type TaskStory } from './log-story.js';
export type * from './verdict.js';
