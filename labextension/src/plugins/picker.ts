import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISessionContextDialogs } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { IContainersModel } from '../model';
import type { ISettings } from '../settings';
import { IBanners, IBuildsInSight, IContainers, IContainersSettings, NAMESPACE } from '../tokens';
import { KernelDialogs } from '../widgets/picker';

/** Stands in for `@jupyterlab/apputils-extension:sessionDialogs`, which package.json turns off. */
export const pickerPlugin: JupyterFrontEndPlugin<ISessionContextDialogs> = {
  id: `${NAMESPACE}:kernel-picker`,
  description: 'The kernel picker, with environments and their state.',
  autoStart: true,
  requires: [IContainers, IBuildsInSight, IBanners, IContainersSettings],
  optional: [ITranslator, ISettingRegistry],
  provides: ISessionContextDialogs,
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    builds: IBuildsInSight,
    banners: IBanners,
    settings: ISettings,
    translator: ITranslator | null,
    settingRegistry: ISettingRegistry | null
  ) =>
    new KernelDialogs({
      model,
      builds,
      banners,
      settings,
      localPath: path => app.serviceManager.contents.localPath(path),
      settingRegistry,
      translator: translator ?? nullTranslator
    })
};
