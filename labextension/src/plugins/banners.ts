import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { DisposableDelegate } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import { IBanners, NAMESPACE } from '../tokens';
import { Banner, INotice } from '../widgets/banner';

/** Provides the place for messages above the cells of each notebook. */
export const bannersPlugin: JupyterFrontEndPlugin<IBanners> = {
  id: `${NAMESPACE}:banners`,
  description: 'Messages above the cells of notebooks.',
  autoStart: true,
  optional: [ITranslator],
  provides: IBanners,
  activate: (app: JupyterFrontEnd, translator: ITranslator | null): IBanners => {
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const tabs = new Map<NotebookPanel, Banner>();
    const opened = new Signal<IBanners, NotebookPanel>({} as IBanners);
    const panels = (context: ISessionContext) =>
      [...tabs.keys()].filter(panel => panel.sessionContext === context);
    app.docRegistry.addWidgetExtension('Notebook', {
      createNew: (panel: NotebookPanel) => {
        const banner = new Banner(trans);
        panel.contentHeader.addWidget(banner);
        tabs.set(panel, banner);
        panel.disposed.connect(() => tabs.delete(panel));
        opened.emit(panel);
        return new DisposableDelegate(() => banner.dispose());
      }
    });
    return {
      opened,
      panels,
      show: (context: ISessionContext, key: string, notice: INotice | null) => {
        for (const panel of panels(context)) {
          tabs.get(panel)!.put(key, notice);
        }
      }
    };
  }
};
