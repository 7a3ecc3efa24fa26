/** From the events of a build to the lines of its log. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { phaseLabel } from './environments';
import { formatPercent, formatSize } from './format';
import type { IBuildEvent } from './rest';

export interface ILogLine {
  kind: 'output' | 'step' | 'note' | 'error';
  /** May hold control characters. */
  text: string;
}

/** Lines that a view keeps; what is older is left out, and the server has it. */
export const MOST_LINES = 20_000;

/** The line that *event* makes; null: none. */
export function lineOf(event: IBuildEvent, trans: TranslationBundle): ILogLine | null {
  switch (event.kind) {
    case 'output':
      return { kind: 'output', text: event.text ?? '' };
    case 'step':
      if (event.cached) {
        return { kind: 'step', text: trans.__('%1: kept from before', event.step ?? '') };
      }
      return event.phase === 'done' ? null : { kind: 'step', text: event.step ?? '' };
    case 'phase':
      return event.text ? { kind: 'note', text: event.text } : null;
    case 'result':
      return event.error
        ? { kind: 'error', text: [event.error, event.hint].filter(part => part).join('\n') }
        : null;
    case 'progress':
      return null;
  }
}

/** What is being done now, for the top of the log; null: the event does not tell. */
export function stageOf(event: IBuildEvent, trans: TranslationBundle): string | null {
  if (event.kind === 'progress') {
    const what = event.step || event.text || (event.phase ? phaseLabel(event.phase, trans) : '');
    return [what, amountOf(event, trans)].filter(part => part).join(' · ');
  }
  if (event.kind === 'phase' && event.phase) {
    return phaseLabel(event.phase, trans);
  }
  return null;
}

function amountOf(event: IBuildEvent, trans: TranslationBundle): string {
  const { done = 0, total = 0 } = event;
  const show = event.unit === 'bytes' ? formatSize : String;
  if (total > 0) {
    return `${trans.__('%1 of %2', show(done), show(total))} (${formatPercent((100 * done) / total)})`;
  }
  return done > 0 ? show(done) : '';
}
