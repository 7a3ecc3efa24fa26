/** The left panel "Containers": four sections that fold. */
import { ITranslator } from '@jupyterlab/translation';
import { ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import type { Session } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { ISignal } from '@lumino/signaling';
import React from 'react';

import { containerIcon } from '../icons';
import type { IContainersModel } from '../model';
import { CommandIDs, NAMESPACE } from '../tokens';
import { Environments } from './environments';
import { Host } from './host';
import { Images } from './images';
import { Running } from './running';
import { ConnectionMessage, ISectionProps, Section } from './section';

export interface IPanelOptions {
  model: IContainersModel;
  commands: CommandRegistry;
  sessions: Session.IManager;
  translator: ITranslator;
  /** Emitted when the host is to be checked again. */
  checks: ISignal<unknown, void>;
}

export class ContainersPanel extends SidePanel {
  constructor(options: IPanelOptions) {
    const { checks, commands, model, sessions, translator } = options;
    super({ translator });
    const trans = translator.load('jupyter_containers');
    this.id = NAMESPACE;
    this.title.icon = containerIcon;
    this.title.caption = trans.__('Containers');
    this.addClass('jp-Containers-panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Containers'));

    const common: ISectionProps = { model, commands, trans };
    this.header.addWidget(ReactWidget.create(<ConnectionMessage {...common} />));
    this.addWidget(
      new Section({
        ...common,
        id: `${NAMESPACE}-environments`,
        label: trans.__('Environments'),
        tools: [CommandIDs.newEnvironment],
        content: Environments
      })
    );
    this.addWidget(
      new Section({
        ...common,
        id: `${NAMESPACE}-running`,
        label: trans.__('Running'),
        tools: [],
        content: props => <Running {...props} sessions={sessions} />
      })
    );
    this.addWidget(
      new Section({
        ...common,
        id: `${NAMESPACE}-images`,
        label: trans.__('Images'),
        tools: [CommandIDs.pullImage, CommandIDs.prune],
        content: Images
      })
    );
    this.addWidget(
      new Section({
        ...common,
        id: `${NAMESPACE}-host`,
        label: trans.__('Host'),
        tools: [CommandIDs.checkHost],
        content: props => <Host {...props} checks={checks} />
      })
    );
  }
}
