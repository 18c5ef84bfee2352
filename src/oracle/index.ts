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
export { readLogs, type OrderStory, type TaskStory } from './log-story.js';
export type * from './verdict.js';
