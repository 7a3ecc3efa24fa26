import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { deathText } from '../deaths';
import type { IContainersModel } from '../model';
import type { IDeath } from '../rest';
import { CommandIDs, IBanners, IContainers, KERNEL_PREFIX, NAMESPACE } from '../tokens';

/** Milliseconds around a death within which JupyterLab's own words about it are taken for it. */
const NEAR = 10_000;

/** Tells in the notebook why its kernel has died. */
export const deathsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:deaths`,
  description: 'Tells in the notebook why its kernel has died.',
  autoStart: true,
  requires: [IContainers, IBanners],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    banners: IBanners,
    translator: ITranslator | null
  ) => {
    const words = translator ?? nullTranslator;
    const trans = words.load('jupyter_containers');
    const restarting = words.load('jupyterlab').__('Kernel Restarting');
    const contexts = new Set<ISessionContext>();
    /** What works for hours works in a tab that nobody sees. Of its death the page is told when it happens, or never. */
    const watch = (context: ISessionContext) => {
      let need: IDisposable | null = null;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const release = () => {
        need?.dispose();
        need = null;
      };
      context.statusChanged.connect((_, status) => {
        clearTimeout(timer);
        if (status === 'busy' && context.session?.kernel?.name.startsWith(KERNEL_PREFIX)) {
          need ??= model.need();
        } else {
          timer = setTimeout(release, NEAR);
        }
      });
      context.disposed.connect(() => {
        clearTimeout(timer);
        release();
      });
    };

    banners.opened.connect((_, panel: NotebookPanel) => {
      const { sessionContext } = panel;
      if (contexts.has(sessionContext)) {
        return;
      }
      contexts.add(sessionContext);
      watch(sessionContext);
      sessionContext.disposed.connect(() => contexts.delete(sessionContext));
    });

    /** JupyterLab's dialog, which knows only that the kernel has died, and stands before what tells why. */
    const dismiss = (path: string) =>
      Dialog.tracker
        .filter(({ node }) => {
          const text = node.ariaLabel ?? node.textContent ?? '';
          return text.startsWith(restarting) && text.includes(path);
        })
        .forEach(dialog => dialog.resolve());

    const told = new Map<string, number>();
    Dialog.tracker.widgetAdded.connect(() => {
      for (const [path, at] of told) {
        if (Date.now() - at < NEAR) {
          dismiss(path);
        }
      }
    });

    const tell = (context: ISessionContext, death: IDeath) => {
      const dismissed = () => banners.show(context, 'death', null);
      banners.show(context, 'death', {
        tone: 'bad',
        message: deathText(death, trans),
        hint: death.hint,
        steps: [
          ...(death.oom
            ? [
                {
                  label: trans.__('Change Limits…'),
                  run: () => void app.commands.execute(CommandIDs.changeLimits, { path: context.path })
                }
              ]
            : []),
          { label: trans.__('Dismiss'), run: dismissed }
        ]
      });
      told.set(context.path, Date.now());
      dismiss(context.path);
    };

    model.died.connect((_, death: IDeath) => {
      for (const context of contexts) {
        if (death.kernel_id !== '' && context.session?.kernel?.id === death.kernel_id) {
          tell(context, death);
        }
      }
    });
  }
};
