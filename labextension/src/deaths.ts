/** Decisions about kernels that have died: what is said of it in their notebook. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { formatSize } from './format';
import type { IDeath } from './rest';

/** Why the kernel died. Of memory with the limit and the peak, else as the server says. */
export function deathText(death: IDeath, trans: TranslationBundle): string {
  const { memory_limit: limit, memory_peak: peak, message, oom } = death;
  if (!oom) {
    return trans.__('The kernel has died, and its variables are lost.') + ` ${sentence(message)}`;
  }
  if (limit === null) {
    return (
      trans.__('The kernel was killed for memory, and its variables are lost.') + ` ${sentence(message)}`
    );
  }
  const killed = trans.__(
    'The kernel was killed for memory, and its variables are lost: its limit is %1',
    formatSize(limit)
  );
  return peak === null
    ? `${killed}.`
    : `${killed}${trans.__(', and at its peak it had %1.', formatSize(peak))}`;
}

/** What the server says, without what has been said. */
function sentence(message: string): string {
  const cause = message.replace(/^the kernel has died: /, '');
  return cause ? cause[0].toUpperCase() + cause.slice(1) + (/[.!?]$/.test(cause) ? '' : '.') : '';
}
