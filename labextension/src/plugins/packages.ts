import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, ISessionContext, showDialog } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { addIcon, deleteIcon } from '@jupyterlab/ui-components';
import React from 'react';

import { IAsker, pickContainer, pickEnvironment } from '../ask';
import { containerOf } from '../containers';
import { titleOf } from '../environments';
import { jobEnded, packagesOf } from '../jobs';
import type { IContainersModel } from '../model';
import { attempt } from '../notices';
import { Requests, TARGET } from '../requests';
import { nameOf, requirementsOf } from '../requirements';
import type { IContainer, IEnvironment } from '../rest';
import { sessionContextOf } from '../sessions';
import { CommandIDs, IContainers, Labels, NAMESPACE } from '../tokens';
import { chooseItem } from '../widgets/choice';
import { askUser, Changed, choosePackages } from '../widgets/packages';
import { body } from '../widgets/tables';
import { addCommands, labelled } from './commands';

/** Packages of environments: added and removed by the user, and by kernels that ask the user (`%container add`). */
export const packagesPlugin: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:packages`,
  description: 'Adds packages to environments and to kernels that run.',
  autoStart: true,
  requires: [IContainers],
  optional: [ITranslator, ICommandPalette, INotebookTracker],
  activate: (
    app: JupyterFrontEnd,
    model: IContainersModel,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    notebooks: INotebookTracker | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_containers');
    const asker: IAsker = { model, trans };
    const { api } = model;

    const add = async (item: IEnvironment, container?: IContainer) => {
      const packages = await choosePackages({
        api,
        trans,
        title: titleOf(item),
        note: container
          ? trans.__(
              'They go into the spec and the lock, and into the running kernel at once. Its variables stay.'
            )
          : item.containers > 0
            ? trans.__('They go into the spec and the lock. Kernels that run get them with their restart.')
            : trans.__('They go into the spec and the lock, and the image gets a layer with them.')
      });
      if (packages) {
        await attempt(trans, () => api.addPackages(item.name, packages, container?.id));
      }
    };

    const remove = async (item: IEnvironment) => {
      const file = await api.spec(item.name);
      const { document } = file.path.endsWith('.toml') ? await api.checkSpec(file.text) : { document: null };
      const items = requirementsOf(file.path, file.text, document);
      const title = trans.__('Remove a package from %1', titleOf(item));
      if (items.length === 0) {
        await showDialog({
          title,
          body: trans.__('%1 names no Python packages.', file.path),
          buttons: [Dialog.okButton({ label: trans.__('Close') })]
        });
        return;
      }
      const note = trans.__('Kernels that run keep it until their restart.');
      const chosen = await chooseItem({ title, items, note, okLabel: trans.__('Remove') });
      if (chosen !== null) {
        await api.removePackage(item.name, nameOf(items[chosen]));
      }
    };

    addCommands(app.commands, palette, trans, {
      [CommandIDs.addPackage]: {
        label: args =>
          (args.container ?? args.environment)
            ? trans.__('Add a Package…')
            : trans.__('Add a Package to an Environment…'),
        caption: trans.__('Add Python packages to spec, lock and image, and to a kernel that runs'),
        icon: addIcon,
        execute: async args => {
          if (args.container !== undefined) {
            const container = await pickContainer(asker, args);
            const item = container && model.environments.get(environmentOf(container));
            return item && add(item, container);
          }
          const item = await pickEnvironment(asker, args, each => each.spec_file !== '');
          return item && add(item);
        }
      },
      [CommandIDs.removePackage]: {
        label: labelled(
          'environment',
          trans.__('Remove a Package…'),
          trans.__('Remove a Package From an Environment…')
        ),
        icon: deleteIcon,
        execute: async args => {
          const item = await pickEnvironment(asker, args, each => each.spec_file !== '');
          return item && attempt(trans, () => remove(item));
        }
      },
      [CommandIDs.showChangedPackages]: {
        label: trans.__('Show the Packages That Were Changed Last'),
        isEnabled: () => lastChange(model) !== undefined,
        execute: async args => {
          const job = typeof args.job === 'string' ? model.jobs.get(args.job) : lastChange(model);
          const changed = job && packagesOf(job);
          if (changed) {
            await showDialog({
              title: job.title,
              body: body(React.createElement(Changed, { changed, trans })),
              buttons: [Dialog.okButton({ label: trans.__('Close') })]
            });
          }
        }
      }
    });

    const requests = new Requests(
      {
        containerOf: id => containerOf(model, id),
        environmentOf: container =>
          model.environments.has(environmentOf(container)) ? environmentOf(container) : '',
        ask: question => {
          const item = model.environments.get(question.environment);
          return askUser(question, item ? titleOf(item) : question.environment, trans);
        },
        add: question => api.addPackages(question.environment, question.packages, question.container),
        ended: (job, onChange) => jobEnded(model, job, trans, onChange)
      },
      trans
    );
    const listen = (context: ISessionContext) => {
      const kernel = context.session?.kernel;
      if (!kernel) {
        return;
      }
      // No promise is returned: the messages of the kernel would wait for it, and with them the user's work.
      kernel.registerCommTarget(TARGET, (comm, message) => void answer(context, kernel, comm, message));
      kernel.statusChanged.connect(onStatus);
    };
    const onStatus = (kernel: Kernel.IKernelConnection, status: Kernel.Status) => {
      if (status === 'restarting') {
        requests.forget(kernel.id);
      }
    };
    const answer = async (
      context: ISessionContext,
      kernel: Kernel.IKernelConnection,
      comm: Kernel.IComm,
      message: KernelMessage.ICommOpenMsg
    ) => {
      await requests.receive(kernel.id, context.name, message.content.data, told => {
        if (!comm.isDisposed) {
          comm.send({ ...told });
        }
      });
      if (!comm.isDisposed) {
        await comm.close({ done: true }).done.catch(() => undefined); // the kernel has gone meanwhile
      }
    };

    const seen = new WeakSet<ISessionContext>();
    const attend = (context: ISessionContext | null) => {
      if (context && !seen.has(context)) {
        seen.add(context);
        context.kernelChanged.connect(listen);
        listen(context);
      }
    };
    notebooks?.widgetAdded.connect((_, panel) => attend(panel.sessionContext));
    notebooks?.forEach(panel => attend(panel.sessionContext));
    // Consoles, and whatever else has a kernel, once they were in front.
    const { shell } = app;
    shell.currentChanged?.connect(() => attend(sessionContextOf(shell.currentWidget)));
  }
};

/** The environment of a container, as the server tells it. */
function environmentOf(container: IContainer): string {
  return container.labels[Labels.environment] || container.image_name;
}

function lastChange(model: IContainersModel) {
  return [...model.jobs.values()]
    .filter(job => packagesOf(job) !== null)
    .sort((a, b) => a.id.localeCompare(b.id))
    .at(-1);
}
