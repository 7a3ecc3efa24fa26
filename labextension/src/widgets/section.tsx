/** A section of the panel: a title, its buttons, and what React renders of the model. */
import { CommandToolbarButton, ReactWidget, PanelWithToolbar } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import React, { useEffect, useReducer } from 'react';

import { describeConnection } from '../connection';
import type { IContainersModel, Topic } from '../model';
import { CommandIDs } from '../tokens';
import { Trouble } from './messages';

/** What all sections are made of. */
export interface ISectionProps {
  model: IContainersModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

export interface ISectionOptions extends ISectionProps {
  id: string;
  label: string;
  /** Commands of the title's toolbar. */
  tools: readonly string[];
  content: React.FunctionComponent<ISectionProps>;
}

export class Section extends PanelWithToolbar {
  constructor(options: ISectionOptions) {
    super();
    const { commands, label, model, trans } = options;
    this.id = options.id;
    this.title.label = label;
    this.title.caption = label;
    this.addClass('jp-Containers-section');
    // It scrolls, also where there is nothing in it that takes the focus.
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', label);
    for (const id of options.tools) {
      this.toolbar.addItem(id, new CommandToolbarButton({ commands, id, label: '' }));
    }
    const Content = options.content;
    this.addWidget(ReactWidget.create(<Content model={model} commands={commands} trans={trans} />));
  }
}

/** Render again when one of *topics* has changed. */
export function useModel(model: IContainersModel, ...topics: readonly Topic[]): void {
  const [, render] = useReducer((count: number) => count + 1, 0);
  const wanted = topics.join();
  useEffect(() => {
    const names = wanted.split(',') as Topic[];
    const slot = (_: unknown, changed: ReadonlySet<Topic>) => {
      if (names.some(name => changed.has(name))) {
        render();
      }
    };
    model.changed.connect(slot);
    render(); // what came between the first render and this
    return () => void model.changed.disconnect(slot);
  }, [model, wanted]);
}

/** The state of the connection, where it is not as it should be. */
export function ConnectionMessage(props: ISectionProps): React.JSX.Element | null {
  const { commands, model, trans } = props;
  useModel(model, 'connection');
  const told = describeConnection(model.connection, trans);
  if (told === null) {
    return null;
  }
  const step = { label: trans.__('Try again'), run: () => void commands.execute(CommandIDs.reconnect) };
  return <Trouble {...told} steps={[step]} mild={model.connection.state === 'lost'} />;
}
