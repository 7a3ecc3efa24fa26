/** Notebooks that bring their environment along: it is made once the user agrees, and the notebook gets its kernel. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import {
  Dialog,
  ISessionContext,
  ISessionContextDialogs,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ApiError } from './api';
import { broughtBy, IBrought, kernelOf, Refusals, visible } from './carried';
import { isActive, jobEnded } from './jobs';
import { METADATA } from './metadata';
import type { IContainersModel, ItemChange } from './model';
import { attempt, reportError } from './notices';
import type { IChecked, IJob, ITaken } from './rest';
import type { ISettings } from './settings';
import { CommandIDs, IBanners, kernelspecName } from './tokens';
import type { INotice } from './widgets/banner';
import { Would } from './widgets/carrying';
import type { IStep } from './widgets/messages';
import { body } from './widgets/tables';

export interface IOpeningOptions {
  app: JupyterFrontEnd;
  model: IContainersModel;
  banners: IBanners;
  settings: ISettings;
  dialogs: ISessionContextDialogs | null;
  trans: TranslationBundle;
}

export class Opening {
  constructor(private readonly _options: IOpeningOptions) {}

  /**
   * A notebook was opened. Where it brings an environment along its kernel waits until the server has said whether that
   * is here, and, where it is not, until the user has: without their word nothing runs.
   */
  async opened(panel: NotebookPanel): Promise<void> {
    const brought = broughtBy(panel.model);
    if (brought === null || panel.isDisposed) {
      return;
    }
    const release = hold(panel.sessionContext, this._options.dialogs);
    panel.sessionContext.kernelChanged.connect((_, { newValue }) => newValue && this._say(panel, null));
    await this._inTurn(brought, async () => {
      const checked = await this._check(panel);
      if (checked === null || panel.isDisposed) {
        return void release();
      }
      switch (checked.state) {
        case 'none':
          return void release();
        case 'invalid':
          this._sayInvalid(panel, checked);
          return void release();
        case 'present': {
          const { specs } = this._options.app.serviceManager.kernelspecs;
          const wanted = panel.model?.defaultKernelName ?? '';
          const kernel = kernelOf(checked, brought, wanted, name => name in (specs?.kernelspecs ?? {}));
          return void release(kernel ?? undefined);
        }
        case 'missing':
          return this._refusals.has(panel.context.path, brought.digest)
            ? this._sayRefused(panel, checked)
            : this._open(panel, brought, checked);
      }
    });
  }

  /** The user wants the environment of the notebook, whatever they have said before. */
  async ask(panel: NotebookPanel): Promise<void> {
    const { trans } = this._options;
    const brought = broughtBy(panel.model);
    if (brought === null) {
      return;
    }
    this._refusals.remove(panel.context.path, brought.digest);
    await this._inTurn(brought, async () => {
      const checked = await this._check(panel);
      if (checked?.state === 'present') {
        await this._use(panel, checked.environment);
      } else if (checked?.state === 'missing') {
        await this._open(panel, brought, checked);
      } else if (checked?.state === 'invalid') {
        this._sayInvalid(panel, checked);
      } else if (checked) {
        Notification.info(trans.__('The notebook carries no environment.'), { autoClose: 5000 });
      }
    });
  }

  /** What the server says; null: nothing, which is told where there is a server extension that should have. */
  private async _check(panel: NotebookPanel): Promise<IChecked | null> {
    const { model, trans } = this._options;
    try {
      return await model.api.checkNotebook(panel.model?.getMetadata(METADATA));
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) {
        reportError(error, trans);
      }
      return null;
    }
  }

  /** Make the environment, once the user agrees or has agreed before a reload of the page; then use it. */
  private async _open(panel: NotebookPanel, brought: IBrought, checked: IChecked): Promise<void> {
    const { model, trans } = this._options;
    const metadata: unknown = panel.model?.getMetadata(METADATA);
    const known = await attempt(trans, () => model.api.jobs());
    let job = known?.find(item => isActive(item) && item.alone === `open ${brought.digest}`);
    if (!job) {
      if (!(await this._agree(panel, brought, checked))) {
        return this._refused(panel, brought, checked);
      }
      job = await attempt(trans, () => model.api.openNotebook(metadata));
    }
    const end = job && (await this._follow(panel, job, checked.environment));
    if (end?.state === 'done' && end.result) {
      const taken = end.result as ITaken;
      const notes = taken.same ? [] : (end.notes ?? []).map(visible);
      await this._use(panel, taken.environment);
      if (notes.length > 0) {
        const message = trans.__('The image is not the one that this notebook was made with.');
        this._say(panel, { tone: 'notice', message, items: notes, steps: [this._dismiss(panel)] });
      }
    } else {
      const message =
        end?.state === 'cancelled'
          ? trans.__('Opening the environment of this notebook was cancelled.')
          : trans.__('The environment of this notebook could not be made.');
      const steps = this._steps(panel, trans.__('Try Again…'));
      this._say(panel, { tone: 'bad', message, output: end?.error, hint: end?.hint, steps });
    }
  }

  private async _agree(panel: NotebookPanel, brought: IBrought, checked: IChecked): Promise<boolean> {
    const { trans } = this._options;
    const path = panel.context.localPath;
    const answer = await showDialog({
      title: trans.__('Trust this notebook’s environment?'),
      body: body(React.createElement(Would, { brought, checked, path, trans })),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Do Not Open') }),
        Dialog.okButton({ label: trans.__('Trust and Open') })
      ],
      defaultButton: 0 // a key that was meant for something else agrees to nothing
    });
    return answer.button.accept;
  }

  private _refused(panel: NotebookPanel, brought: IBrought, checked: IChecked): void {
    this._refusals.add(panel.context.path, brought.digest);
    this._sayRefused(panel, checked);
  }

  private _sayRefused(panel: NotebookPanel, checked: IChecked): void {
    const { trans } = this._options;
    this._say(panel, {
      tone: 'notice',
      message: trans.__(
        'Nothing of %1, which this notebook brings along, was fetched or run.',
        visible(checked.environment)
      ),
      steps: this._steps(panel, trans.__('Open Its Environment…'))
    });
  }

  /** It stands whatever kernel the notebook has: that is another matter. */
  private _sayInvalid(panel: NotebookPanel, checked: IChecked): void {
    const { banners, trans } = this._options;
    const context = panel.sessionContext;
    banners.show(context, INVALID, {
      tone: 'notice',
      message: trans.__('What this notebook carries is no environment that can be opened:'),
      items: checked.problems.map(({ cause, key, line, remedy }) =>
        visible([key, line ? String(line) : '', cause, remedy].filter(part => part).join(' — '))
      ),
      steps: [{ label: trans.__('Dismiss'), run: () => banners.show(context, INVALID, null) }]
    });
  }

  /** Have *notice* stand above the cells, until the notebook has a kernel. */
  private _say(panel: NotebookPanel, notice: INotice | null): void {
    const context = panel.sessionContext;
    if (!context.isDisposed) {
      this._options.banners.show(context, NOTICE, notice);
    }
  }

  private _steps(panel: NotebookPanel, again: string): IStep[] {
    const { app, trans } = this._options;
    const path = panel.sessionContext.path;
    return [
      { label: again, run: () => void this.ask(panel) },
      {
        label: trans.__('Choose Another Kernel…'),
        run: () => void app.commands.execute(CommandIDs.selectKernel, { path })
      }
    ];
  }

  private _dismiss(panel: NotebookPanel): IStep {
    return { label: this._options.trans.__('Dismiss'), run: () => this._say(panel, null) };
  }

  /** The job at its end; the log of its build comes into sight beside the notebook. */
  private async _follow(panel: NotebookPanel, job: IJob, environment: string): Promise<IJob> {
    const { app, model, settings, trans } = this._options;
    const cancel = {
      label: trans.__('Cancel'),
      run: () => void attempt(trans, () => model.api.cancelJob(job.id))
    };
    const onJob = ({ percent, phase }: IJob) =>
      this._say(panel, {
        tone: 'busy',
        message: trans.__('The environment of this notebook is being made.'),
        stage: phase,
        percent,
        steps: [cancel]
      });
    onJob(job);
    let shown = !settings.values.showLog;
    const onChange = (_: unknown, change: ItemChange) => {
      if (!shown && change.kind === 'environment' && change.key === environment) {
        if (change.item?.state === 'building') {
          shown = true;
          const options = { mode: 'split-right', activate: false };
          void app.commands.execute(CommandIDs.showBuildLog, { environment, options });
        }
      }
    };
    model.itemChanged.connect(onChange);
    try {
      return await jobEnded(model, job, trans, onJob);
    } finally {
      model.itemChanged.disconnect(onChange);
    }
  }

  /** Give the notebook a kernel of *environment*. */
  private async _use(panel: NotebookPanel, environment: string): Promise<void> {
    const { app, trans } = this._options;
    const name = kernelspecName(environment);
    await attempt(trans, async () => {
      await app.serviceManager.kernelspecs.refreshSpecs();
      if (!panel.isDisposed && panel.sessionContext.session?.kernel?.name !== name) {
        await panel.sessionContext.changeKernel({ name });
      }
    });
    this._say(panel, null);
  }

  /** One notebook after the other where several bring the same environment: what the first has made is there for all. */
  private async _inTurn(brought: IBrought, action: () => Promise<void>): Promise<void> {
    const before = this._turns.get(brought.digest) ?? Promise.resolve();
    const turn = before.then(action).catch((error: unknown) => reportError(error, this._options.trans));
    this._turns.set(brought.digest, turn);
    return turn;
  }

  private readonly _refusals = new Refusals(window.sessionStorage);
  private readonly _turns = new Map<string, Promise<void>>();
}

/** Under which notices of a notebook stand. */
const NOTICE = 'carried';
const INVALID = 'carried-invalid';

/**
 * Keep a notebook that is being opened from starting its kernel. What is returned starts it: the one that is named, else as
 * JupyterLab would have. A kernel that runs already is left alone.
 */
function hold(
  context: ISessionContext,
  dialogs: ISessionContextDialogs | null
): (kernel?: string) => Promise<void> {
  context.kernelPreference = { ...context.kernelPreference, shouldStart: false };
  return async kernel => {
    await context.ready;
    if (context.isDisposed) {
      return;
    }
    const preference = { ...context.kernelPreference, shouldStart: true };
    context.kernelPreference = kernel === undefined ? preference : { ...preference, name: kernel };
    if (!context.session?.kernel && (await context.startKernel())) {
      await dialogs?.selectKernel(context);
    }
  };
}
