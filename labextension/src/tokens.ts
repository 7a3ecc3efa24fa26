/** Names that other plugins, menus and settings use. */
import type { ISessionContext } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { IChosen } from './choices';
import type { KernelGate } from './gate';
import type { IContainersModel } from './model';
import type { IEnvironment } from './rest';
import type { ISettings } from './settings';
import type { INotice } from './widgets/banner';

export const NAMESPACE = 'jupyter-containers';

export const IContainers = new Token<IContainersModel>(
  `${NAMESPACE}:IContainers`,
  'Environments, builds, containers and images of the server, kept up to date.'
);

/** For whoever starts kernels: an environment that is not built is built in sight, once the user agrees to it. */
export interface IBuildsInSight {
  /**
   * A kernel of this name is about to be started; other kernels than environments' are no matter. Resolves when it may
   * be started: at once where its start may build by itself, else after the user's own build. False: it is not to be.
   */
  prepare(kernelName: string): Promise<boolean>;
  /** The notebook at *path* is about to be opened because the user has chosen its environment just now. */
  choose(path: string, chosen: IChosen): void;
  /** What stands between a notebook and its kernel; undefined for consoles and others, which are {@link prepare}d. */
  gate(context: ISessionContext): KernelGate | undefined;
  /** Ask *hold* before a notebook that is opened gets a kernel: it starts once the promise is fulfilled. */
  addHold(hold: Hold): void;
}

/** What has to be settled before an opened notebook gets its kernel; null: nothing. */
export type Hold = (context: ISessionContext, environment: IEnvironment) => Promise<void> | null;

export const IBuildsInSight = new Token<IBuildsInSight>(
  `${NAMESPACE}:IBuildsInSight`,
  'Builds in sight what a kernel needs before it starts.'
);

/** Messages above the cells of notebooks. */
export interface IBanners {
  /** Have *notice* stand in the notebook of *context* under *key*; null takes it away. */
  show(context: ISessionContext, key: string, notice: INotice | null): void;
  /** The tabs of a notebook: it may have several. */
  panels(context: ISessionContext): readonly NotebookPanel[];
  /** A notebook is opened; its kernel is not started yet. */
  readonly opened: ISignal<IBanners, NotebookPanel>;
}

export const IBanners = new Token<IBanners>(
  `${NAMESPACE}:IBanners`,
  'Messages above the cells of notebooks.'
);

/** The settings of this extension, as they are. */
export const IContainersSettings = new Token<ISettings>(
  `${NAMESPACE}:ISettings`,
  'The settings of the containers extension.'
);

/** Commands. Those about a thing take its key as the argument of the kind's name, and ask where it is missing. */
export namespace CommandIDs {
  export const showPanel = `${NAMESPACE}:show-panel`;
  export const reconnect = `${NAMESPACE}:reconnect`;

  export const newEnvironment = `${NAMESPACE}:new-environment`;
  export const startNotebook = `${NAMESPACE}:start-notebook`;
  export const startWithLimits = `${NAMESPACE}:start-notebook-with-limits`;
  export const changeLimits = `${NAMESPACE}:change-limits`;
  export const selectKernel = `${NAMESPACE}:select-kernel`;
  export const build = `${NAMESPACE}:build`;
  export const rebuild = `${NAMESPACE}:rebuild`;
  export const cancelBuild = `${NAMESPACE}:cancel-build`;
  export const editSpec = `${NAMESPACE}:edit-spec`;
  export const saveSpec = `${NAMESPACE}:save-spec`;
  export const buildSpec = `${NAMESPACE}:build-spec`;
  export const showLockDiff = `${NAMESPACE}:show-lock-diff`;
  export const saveEnvironment = `${NAMESPACE}:save-environment`;
  export const pushEnvironment = `${NAMESPACE}:push-environment`;
  export const deleteEnvironment = `${NAMESPACE}:delete-environment`;
  export const addPackage = `${NAMESPACE}:add-package`;
  export const showChangedPackages = `${NAMESPACE}:show-changed-packages`;
  export const removePackage = `${NAMESPACE}:remove-package`;
  export const showBuildLog = `${NAMESPACE}:show-build-log`;

  export const containerise = `${NAMESPACE}:containerise`;
  export const openCarried = `${NAMESPACE}:open-notebook-environment`;
  export const forgetCarried = `${NAMESPACE}:remove-notebook-environment`;

  export const restartContainer = `${NAMESPACE}:restart-container`;
  export const stopContainer = `${NAMESPACE}:stop-container`;
  export const openTerminal = `${NAMESPACE}:open-terminal`;
  export const commitContainer = `${NAMESPACE}:commit-container`;
  export const showContainerLog = `${NAMESPACE}:show-container-log`;
  export const openNotebook = `${NAMESPACE}:open-notebook-of-container`;

  export const showHistory = `${NAMESPACE}:show-image-history`;
  export const removeImage = `${NAMESPACE}:remove-image`;
  export const pullImage = `${NAMESPACE}:pull-image`;
  export const loadArchive = `${NAMESPACE}:load-archive`;
  export const prune = `${NAMESPACE}:prune-images`;

  export const checkHost = `${NAMESPACE}:check-host`;

  export const downloadLog = `${NAMESPACE}:download-log`;
  export const copyLog = `${NAMESPACE}:copy-log`;
  export const followLog = `${NAMESPACE}:follow-log`;
  export const searchLog = `${NAMESPACE}:search-log`;
  export const wrapLog = `${NAMESPACE}:wrap-log`;
}

/** Labels that this program puts on the containers of kernels. */
export namespace Labels {
  export const environment = 'org.jupyter-containers.environment';
  export const kernel = 'org.jupyter-containers.kernel-id';
  export const notebook = 'org.jupyter-containers.notebook';
}

/** The name of the kernelspec of an environment, as `kernels/kernelspec.py` makes it. */
export function kernelspecName(environment: string): string {
  return KERNEL_PREFIX + environment.toLowerCase();
}

/** What the names of kernelspecs of environments begin with. */
export const KERNEL_PREFIX = 'jc-';
