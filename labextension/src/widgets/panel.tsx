/** The left panel "Containers": four sections that fold. */
import { ITranslator } from '@jupyterlab/translation';
import { ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import type { Session } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { Message } from '@lumino/messaging';
import { ISignal } from '@lumino/signaling';
import { AccordionPanel } from '@lumino/widgets';
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
  /** An archive of images was dropped. */
  onDrop: (archive: File) => void;
}

const DROPS = ['dragover', 'dragleave', 'drop'];

export class ContainersPanel extends SidePanel {
  constructor(options: IPanelOptions) {
    const { checks, commands, model, onDrop, sessions, translator } = options;
    super({ translator });
    const trans = translator.load('jupyter_containers');
    this.id = NAMESPACE;
    this.title.icon = containerIcon;
    this.title.caption = trans.__('Containers');
    this.addClass('jp-Containers-panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Containers'));

    this._onDrop = onDrop;
    const common: ISectionProps = { model, commands, trans };
    this.header.addWidget(ReactWidget.create(<ConnectionMessage {...common} />));
    const sections: [SectionName, string, string[], React.FunctionComponent<ISectionProps>][] = [
      ['environments', trans.__('Environments'), [CommandIDs.newEnvironment], Environments],
      ['running', trans.__('Running'), [], props => <Running {...props} sessions={sessions} />],
      [
        'images',
        trans.__('Images'),
        [CommandIDs.pullImage, CommandIDs.loadArchive, CommandIDs.prune],
        Images
      ],
      ['host', trans.__('Host'), [CommandIDs.checkHost], props => <Host {...props} checks={checks} />]
    ];
    for (const [name, label, tools, content] of sections) {
      this.addWidget(new Section({ ...common, id: `${NAMESPACE}-${name}`, label, tools, content }));
    }
    (this.content as AccordionPanel).setRelativeSizes([3, 2, 2, 2]);
  }

  /** Take in archives that are dropped anywhere on the panel. */
  handleEvent(event: Event): void {
    const { dataTransfer } = event as DragEvent;
    if (!dataTransfer?.types.includes('Files')) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.toggleClass('jp-mod-dropTarget', event.type === 'dragover');
    if (event.type === 'drop') {
      [...dataTransfer.files].forEach(this._onDrop);
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    DROPS.forEach(type => this.node.addEventListener(type, this));
  }

  protected onBeforeDetach(msg: Message): void {
    DROPS.forEach(type => this.node.removeEventListener(type, this));
    super.onBeforeDetach(msg);
  }

  /** Unfold a section, and go to the row of this key. */
  reveal(section: SectionName, key: string): void {
    const index = this.widgets.findIndex(widget => widget.id === `${NAMESPACE}-${section}`);
    (this.content as AccordionPanel).expand(index);
    const row = this.widgets[index].node.querySelector(`li[data-key="${CSS.escape(key)}"]`);
    row?.querySelector('button')?.focus();
  }

  private readonly _onDrop: (archive: File) => void;
}

type SectionName = 'environments' | 'running' | 'images' | 'host';
