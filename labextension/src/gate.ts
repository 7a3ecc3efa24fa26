/**
 * What stands between a notebook and its kernel while the environment is not there: it has it built, starts the kernel
 * after it, and lets cells that are run meanwhile wait.
 *
 * A kernel's start could build by itself, and does where no page is open. Here the build comes first and is followed by
 * the page, so that nothing has an end but the build's own: no request and no websocket that is cut off, and a build that
 * fails can be mended and tried again with the notebook, and what it was to run, still waiting.
 *
 * JupyterLab has no place for that. What it asks before it starts a kernel (`startKernel`), when another one is chosen
 * (`changeKernel`) or the same one again (`restartKernel`), and whether there is one (`hasNoKernel`) is put in front of the session context's own. Who runs a
 * cell without a kernel calls `startKernel`, then, if that says so, the dialogs' `selectKernel` (queue.ts, and
 * notebook/src/cellexecutor.ts), which here is {@link KernelGate.join}.
 */
import type { ISessionContext } from '@jupyterlab/apputils';
import { SessionContext } from '@jupyterlab/apputils';
import type { Kernel } from '@jupyterlab/services';
import { PromiseDelegate } from '@lumino/coreutils';
import { DisposableDelegate, IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { asApiError } from './api';
import { findByKernel } from './environments';
import { isActive } from './jobs';
import type { IContainersModel } from './model';
import type { IEnvironment } from './rest';
import { whenTold } from './told';
import { KERNEL_PREFIX } from './tokens';
import { afterBuild, Lack, lackOf, policyOf, Wait } from './waiting';

export interface IGateOptions {
  context: ISessionContext;
  model: IContainersModel;
  /** Ask the user for their word, to build *environment*. */
  agree: (environment: IEnvironment) => Promise<boolean>;
  /** Whether every build that the user's choice leads to is asked for. */
  asksAlways: () => boolean;
  /** A build has begun, for the user's own choice. */
  onBuild: (build: string) => void;
  /** Whether the user has just chosen what this notebook starts; true once. */
  isChosen: () => boolean;
  /** What has to be settled before a kernel that nobody has chosen just now; null: nothing. */
  hold: (environment: IEnvironment) => Promise<void> | null;
}

/** Whether a start may go on, has to wait, or is not to be. */
type Verdict = 'go' | 'wait' | 'no';

export class KernelGate {
  constructor(private readonly _options: IGateOptions) {
    const { context, model } = _options;
    this._startKernel = context.startKernel.bind(context);
    this._changeKernel = context.changeKernel.bind(context);
    this._restartKernel = context.restartKernel.bind(context);
    context.startKernel = () => this._onStart();
    context.changeKernel = options => this._onChange(options ?? {});
    context.restartKernel = () => this._onRestart();
    const hasNoKernel = prototypeGetter(context, 'hasNoKernel');
    Object.defineProperty(context, 'hasNoKernel', {
      configurable: true,
      // Without a session there is nobody to run a cell: it would be lost without a word.
      get: () => (this._wait !== null || this._underway !== null ? !context.session?.kernel : hasNoKernel())
    });
    model.changed.connect(this._look);
    context.disposed.connect(() => this.dispose());
  }

  /** Told when anything of it is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** How the wait stands; null: there is none. */
  get wait(): Wait | null {
    return this._wait;
  }

  get environment(): IEnvironment | undefined {
    return this._options.model.environments.get(this._name);
  }

  /** Whether the last build took no more than the user had agreed to before, and may have been refused for that. */
  get wasAutomatic(): boolean {
    return this._automatic;
  }

  /** Cells that wait. */
  get queued(): number {
    return this._cells.size;
  }

  /** A cell waits from now on, until it is disposed of; *withdraw* is called when it is not to be run any more. */
  enqueue(withdraw: () => void): IDisposable {
    this._cells.add(withdraw);
    this._changed.emit();
    return new DisposableDelegate(() => {
      if (this._cells.delete(withdraw)) {
        this._changed.emit();
      }
    });
  }

  /** Run none of the cells that wait. The notebook still waits for its kernel. */
  withdraw(): void {
    [...this._cells].forEach(withdraw => withdraw());
  }

  /** Whether the one who now asks for a kernel to be selected is one who was told to wait. */
  get expects(): boolean {
    return this._expected > 0;
  }

  /** Wait with a cell until the kernel is there, or until nobody waits for it any more. */
  async join(): Promise<void> {
    this._expected = Math.max(0, this._expected - 1);
    await this._underway?.catch(() => undefined);
    if (this._wait) {
      await this._over.promise;
    }
  }

  /** Ask the user, and build: the first time after a refusal, or once more. */
  async proceed(): Promise<void> {
    const { environment } = this;
    if (environment && this._wait && this._wait.phase !== 'held') {
      const asks = this._lack(environment) === 'consent';
      if (!asks || (await this._options.agree(environment))) {
        await this._advance({ agreed: asks, chosen: true });
      }
    }
  }

  /** Wait no more; what waits is not run. */
  giveUp(): void {
    if (this._wait) {
      this._end();
    }
  }

  dispose(): void {
    this._options.model.changed.disconnect(this._look);
    this._wait = null; // cells that wait are gone too
    this._need?.dispose();
    Signal.clearData(this);
  }

  private async _onStart(): Promise<boolean> {
    if (this._judging) {
      await this._judging; // a cell is run in a notebook that is just being opened
    }
    if (this._wait || this._underway) {
      return this._expect();
    }
    this._judging = this._judgeStart();
    const verdict = await this._judging;
    this._judging = null;
    if (verdict === 'wait') {
      return this._expect();
    }
    return this._run(this._startKernel());
  }

  private async _judgeStart(): Promise<Verdict> {
    const name = await this._pick();
    return name ? this._judge(name, this._options.isChosen()) : 'go';
  }

  /** The kernel that is about to be started. */
  private async _pick(): Promise<string | null> {
    const { context } = this._options;
    const { canStart, id, name, shouldStart } = context.kernelPreference;
    if (id) {
      return null;
    }
    const specs = context.specsManager;
    const starts = canStart !== false && shouldStart !== false;
    if (starts && name && (await this._find(name))) {
      // An environment that has just come is told by the feed before the server's list of kernels has it.
      for (let attempt = 0; attempt < 4 && !specs.specs?.kernelspecs[name]; attempt++) {
        await new Promise(resolve => setTimeout(resolve, attempt > 0 ? 1000 : 0));
        await specs.refreshSpecs();
      }
    }
    return SessionContext.getDefaultKernel({
      specs: specs.specs,
      sessions: context.sessionManager.running(),
      preference: context.kernelPreference
    });
  }

  private async _onChange(options: Partial<Kernel.IModel>): Promise<Kernel.IKernelConnection | null> {
    const { context } = this._options;
    if (this._wait && options.name === this._kernelName) {
      void this.proceed();
      await this._over.promise;
      return context.session?.kernel ?? null;
    }
    this.giveUp();
    const verdict = options.name && !options.id ? await this._judge(options.name, true) : 'go';
    if (verdict === 'go') {
      return this._run(this._changeKernel(options));
    }
    if (verdict === 'wait') {
      await this._over.promise;
    }
    return context.session?.kernel ?? null;
  }

  /** A restart would build what has changed since: out of sight, in a request that may be cut off. */
  private async _onRestart(): Promise<void> {
    const { context, model } = this._options;
    const name = context.session?.kernel?.name ?? '';
    const environment = findByKernel(model.environments, name);
    this._kernelName = name;
    if (environment && this._lack(environment) !== 'none') {
      await this._onChange({ name });
    } else {
      await this._restartKernel();
    }
  }

  private _expect(): true {
    this._expected++;
    return true;
  }

  /** Note that a start is under way. */
  private async _run<T>(start: Promise<T>): Promise<T> {
    this._underway = start;
    try {
      return await start;
    } finally {
      this._underway = null;
    }
  }

  private async _judge(kernelName: string, chosen: boolean): Promise<Verdict> {
    const { agree, asksAlways, context } = this._options;
    const found = await this._find(kernelName);
    if (!found || context.isDisposed) {
      return 'go';
    }
    this._kernelName = kernelName;
    this._name = found.name;
    const environment = await this._upToDate(found);
    const held = chosen ? null : this._options.hold(environment);
    const lack = this._lack(environment);
    if (lack === 'none' && !held) {
      return 'go';
    }
    if (chosen) {
      const asks = lack === 'consent' || (lack === 'build' && asksAlways());
      // A kernel that is there is let go once the user has said yes, and not before.
      const leaves = context.session?.kernel !== undefined && context.session?.kernel !== null;
      if (!leaves) {
        this._begin(asks ? { phase: 'consent' } : { phase: 'building', build: null });
      }
      if (asks && !(await agree(environment))) {
        return leaves ? 'no' : 'wait';
      }
      if (leaves) {
        await context.shutdown();
        this._begin({ phase: 'building', build: null });
      }
      void this._advance({ agreed: asks, chosen: true });
    } else {
      this._begin(
        held
          ? { phase: 'held' }
          : lack === 'consent'
            ? { phase: 'consent' }
            : { phase: 'building', build: null }
      );
      void this._settle(held);
    }
    return 'wait';
  }

  private async _settle(held: Promise<void> | null): Promise<void> {
    await held;
    const { environment } = this;
    if (!this._wait || !environment) {
      return;
    }
    if (this._lack(environment) === 'consent') {
      this._set({ phase: 'consent' });
    } else {
      await this._advance({ agreed: false, chosen: false });
    }
  }

  /**
   * The next thing to do. A build is the user's own where they have *agreed* to what it takes. Else it is refused where it
   * takes more than they have agreed to before: the spec may have changed since the page was told of it.
   */
  private async _advance({ agreed, chosen }: { agreed: boolean; chosen: boolean }): Promise<void> {
    const { environment } = this;
    const { model, onBuild } = this._options;
    if (!environment || !this._wait) {
      return;
    }
    const lack = this._lack(environment);
    if (lack === 'none') {
      return this._start();
    }
    let build = lack === 'end' ? environment.build_id : null;
    if (build === null) {
      this._set({ phase: 'building', build: null });
      try {
        build = (await model.api.build(environment.name, agreed ? {} : { automatic: true })).id;
        this._automatic = !agreed;
      } catch (error) {
        const told = asApiError(error);
        build = told.status === 409 ? this._active() : null; // somebody else was quicker
        if (build === null) {
          return this._set({ phase: 'failed', error: told.message, hint: told.hint, build: null });
        }
      }
    }
    this._set({ phase: 'building', build });
    if (chosen) {
      onBuild(build);
    }
    this._look();
  }

  private async _start(): Promise<void> {
    this._set({ phase: 'starting' });
    try {
      await this._run(this._changeKernel({ name: this._kernelName }));
      this._end();
    } catch (error) {
      const { message } = asApiError(error);
      this._set({ phase: 'failed', error: message, hint: '', build: null });
    }
  }

  /** See how what is waited for stands. */
  private readonly _look = (): void => {
    const wait = this._wait;
    const { environment } = this;
    if (wait && !environment && this._options.model.complete) {
      this.giveUp(); // it was deleted
      return;
    }
    if (!wait || !environment || wait.phase === 'held' || wait.phase === 'starting') {
      return;
    }
    if (wait.phase === 'building') {
      const build = this._options.model.builds.get(wait.build ?? '');
      const next = build ? afterBuild(build) : null;
      if (next?.phase === 'starting') {
        void this._start();
      } else {
        this._set(next ?? wait);
      }
      return;
    }
    const ended = wait.phase === 'consent' ? '' : wait.build;
    if (environment.state === 'building' && environment.build_id && environment.build_id !== ended) {
      this._set({ phase: 'building', build: environment.build_id }); // begun in another place
    } else if (this._lack(environment) === 'none' && ended !== null) {
      void this._start(); // built in another place; a start that has failed is not tried again by itself
    }
  };

  private _lack(environment: IEnvironment): Lack {
    const { specs } = this._options.context.specsManager;
    return lackOf(environment, policyOf(specs?.kernelspecs[this._kernelName]?.metadata));
  }

  /** The build of the environment that is under way. */
  private _active(): string | null {
    const builds = [...this._options.model.builds.values()].filter(
      item => item.environment === this._name && isActive(item)
    );
    return builds[0]?.id ?? this.environment?.build_id ?? null;
  }

  /** The environment of a kernel, once the page knows which there are. */
  private async _find(kernelName: string): Promise<IEnvironment | undefined> {
    if (!kernelName.startsWith(KERNEL_PREFIX)) {
      return undefined;
    }
    const { model } = this._options;
    await whenTold(model);
    return (
      findByKernel(model.environments, kernelName) ??
      (await model.fetch(kernelName.slice(KERNEL_PREFIX.length)))
    );
  }

  /** What lacks something may have got it since the page was told: in a build that has ended just now. */
  private async _upToDate(environment: IEnvironment): Promise<IEnvironment> {
    const { model } = this._options;
    return this._lack(environment) === 'none'
      ? environment
      : ((await model.fetch(environment.name)) ?? environment);
  }

  private _begin(wait: Wait): void {
    this._over = new PromiseDelegate<void>();
    this._need ??= this._options.model.need(); // also in a tab of the browser that is not in front
    this._set(wait);
  }

  private _set(wait: Wait): void {
    this._wait = wait;
    this._changed.emit();
  }

  private _end(): void {
    this._wait = null;
    this._need?.dispose();
    this._need = null;
    this._over.resolve();
    this._changed.emit();
  }

  private readonly _startKernel: () => Promise<boolean>;
  private readonly _changeKernel: ISessionContext['changeKernel'];
  private readonly _restartKernel: () => Promise<void>;
  private readonly _changed = new Signal<this, void>(this);
  private _over = new PromiseDelegate<void>();
  private _judging: Promise<Verdict> | null = null;
  private _underway: Promise<unknown> | null = null;
  private _wait: Wait | null = null;
  private _name = '';
  private _kernelName = '';
  private _need: IDisposable | null = null;
  private _automatic = false;
  private readonly _cells = new Set<() => void>();
  private _expected = 0;
}

/** What a getter of the class of *object* answers, whatever is put in front of it. */
function prototypeGetter(object: ISessionContext, name: 'hasNoKernel'): () => boolean {
  for (let type: unknown = object; type; type = Object.getPrototypeOf(type)) {
    const property = Object.getOwnPropertyDescriptor(type, name);
    if (property?.get) {
      return () => property.get!.call(object) as boolean;
    }
  }
  return () => !object.session?.kernel;
}
