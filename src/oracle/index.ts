export type * from './evidence.js';
export {
  figuresByFlow,
  flowNames,
  harmNames,
  type FlowFigures,
  type FlowName,
  type Harm,
} from './by-flow.js';
export { judge, sentUnannounced } from './judge.js';
export { readLogs } from './log-story.js';
export type { OrderStory, TaskStory } from './task-story.js';
export type * from './verdict.js';
