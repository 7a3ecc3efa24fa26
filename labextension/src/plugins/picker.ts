import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISessionContextDialogs } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { IContainersModel } from '../model';
import { IBuildsInSight, IContainers, NAMESPACE } from '../tokens';
import { KernelDialogs } from '../widgets/picker';

/** Stands in for `@jupyterlab/apputils-extension:sessionDialogs`, which package.json turns off. */
export const pickerPlugin: JupyterFrontEndPlugin<ISessionContextDialogs> = {
  id: `${NAMESPACE}:kernel-picker`,
  description: 'The kernel picker, with environments and their state.',
  autoStart: true,
  requires: [IContainers, IBuildsInSight],
  optional: [ITranslator, ISettingRegistry],
  provides: ISessionContextDialogs,
  activate: (
    _: JupyterFrontEnd,
    model: IContainersModel,
    builds: IBuildsInSight,
    translator: ITranslator | null,
    settingRegistry: ISettingRegistry | null
  ) => new KernelDialogs({ model, builds, settingRegistry, translator: translator ?? nullTranslator })
};
