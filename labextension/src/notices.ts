/** What is told outside of the panel: notifications, and the whole of an error in a dialog. */
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ApiError, asApiError } from './api';

/** Notifications cut what is longer. */
const LONGEST = 140;

/** Tell of *error*, with the server's hint, and with more buttons if there are *actions*. */
export function reportError(
  error: unknown,
  trans: TranslationBundle,
  actions: Notification.IAction[] = []
): void {
  const told = asApiError(error);
  const text = [told.message, told.hint].filter(part => part).join(' — ');
  const whole = text.length <= LONGEST && told.reply.problems.length === 0 && !told.reply.output;
  const details: Notification.IAction = {
    label: trans.__('Details'),
    callback: () => void showError(told, trans)
  };
  Notification.emit(text, 'error', { autoClose: false, actions: whole ? actions : [...actions, details] });
}

/** Run *action*; what goes wrong is told. Resolves to undefined then. */
export async function attempt<T>(trans: TranslationBundle, action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    reportError(error, trans);
    return undefined;
  }
}

/** All that the server has said of *error*. It is text of builds and kernels too, and shown as text. */
export async function showError(error: ApiError, trans: TranslationBundle): Promise<void> {
  const body = new Widget();
  body.addClass('jp-Containers-error');
  const add = (tag: string, text: string) => {
    if (text) {
      body.node.appendChild(document.createElement(tag)).textContent = text;
    }
  };
  add('p', error.message);
  for (const problem of error.reply.problems) {
    const place = [problem.file, problem.line, problem.key]
      .filter(part => part !== null && part !== '')
      .join(':');
    add('p', [place, problem.cause, problem.remedy].filter(part => part).join(' — '));
  }
  add('pre', error.reply.output);
  add('p', error.hint);
  await showDialog({
    title: trans.__('What went wrong'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}
