import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { asApiError } from '../api';
import { BuildEndings } from '../endings';
import { doneText, isActive, packagesOf } from '../jobs';
import type { IContainersModel, ItemChange } from '../model';
import { attempt, reportError } from '../notices';
import type { IBuild, IJob } from '../rest';
import { CommandIDs, IContainers, NAMESPACE } from '../tokens';
import { buildState } from '../widgets/log';

/** Tells of builds that have ended, and of transfers while they last. */
export const notificationsPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:notifications`,
  description: 'Notifications of builds and transfers.',
  autoStart: true,
  requires: [IContainers],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, model: IContainersModel, translator: ITranslator | null) => {
    const { commands } = app;
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const button = (
      label: string,
      command: string,
      args: { [name: string]: string }
    ): Notification.IAction => ({
      label,
      callback: () => void commands.execute(command, args)
    });

    const endings = new BuildEndings(model);
    const onBuild = (build: IBuild, before: IBuild | null) => {
      if (!endings.hasEnded(build, before)) {
        return;
      }
      const args = { environment: build.environment };
      const log = button(trans.__('Show log'), CommandIDs.showBuildLog, { build: build.id });
      if (build.state === 'done') {
        const start = button(trans.__('Start a notebook'), CommandIDs.startNotebook, args);
        Notification.success(`${buildState(build, trans)}.`, { autoClose: 8000, actions: [start] });
      } else if (build.state === 'failed' || build.state === 'interrupted') {
        const { error, hint } = build;
        const message = `${buildState(build, trans)}: ${error}`;
        const edit = button(trans.__('Edit the spec'), CommandIDs.editSpec, args);
        reportError(asApiError({ message, hint }), trans, [log, edit]);
      }
    };

    const stepsAfter = (job: IJob): Notification.IAction[] => {
      const changed = packagesOf(job);
      if (!changed?.image) {
        return [];
      }
      const details = button(trans.__('Details'), CommandIDs.showChangedPackages, { job: job.id });
      const { container, restart } = changed;
      return container && restart.length > 0
        ? [details, button(trans.__('Restart the Kernel…'), CommandIDs.restartContainer, { container })]
        : [details];
    };

    const shown = new Map<string, string>();
    const onJob = (job: IJob) => {
      const id = shown.get(job.id);
      const active = isActive(job);
      if (active && id === undefined) {
        const cancel = {
          label: trans.__('Cancel'),
          callback: () => void attempt(trans, () => model.api.cancelJob(job.id))
        };
        shown.set(
          job.id,
          Notification.emit(job.title, 'in-progress', {
            autoClose: false,
            actions: [cancel],
            progress: part(job)
          })
        );
      } else if (active) {
        Notification.update({ id: id!, message: job.title, progress: part(job) });
      } else {
        if (id !== undefined) {
          Notification.dismiss(id);
          shown.delete(job.id);
        }
        if (job.state === 'done') {
          // What is still to be done stays until somebody has seen it.
          const autoClose = (packagesOf(job)?.restart.length ?? 0) > 0 ? false : 8000;
          Notification.success(doneText(job, trans), { autoClose, actions: stepsAfter(job) });
        } else if (job.state === 'failed') {
          reportError(asApiError({ message: `${job.title}: ${job.error}`, hint: job.hint }), trans);
        }
      }
    };

    model.itemChanged.connect((_, change: ItemChange) => {
      if (change.kind === 'build' && change.item) {
        onBuild(change.item, change.before);
      } else if (change.kind === 'job' && change.item) {
        onJob(change.item);
      }
    });
  }
};

function part(job: IJob): number | undefined {
  return job.percent === null ? undefined : job.percent / 100;
}
