/** The item of the status bar: this notebook's environment, and what it uses. */
import { TextItem } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { cpuText, memoryText } from '../containers';
import { summary, titleOf } from '../environments';
import type { IEnvironment, ISample } from '../rest';

export interface IStatus {
  environment: IEnvironment;
  /** Of its container, if that runs. */
  sample: ISample | undefined;
}

/** `Physics 1 · 120 MiB of 2 GiB · 3 %`; without a container the environment's state. */
export function statusText(status: IStatus, trans: TranslationBundle): string {
  const { environment, sample } = status;
  return sample
    ? [titleOf(environment), memoryText(sample, trans), trans.__('CPU %1', cpuText(sample))].join(' · ')
    : `${titleOf(environment)} · ${summary(environment, trans)}`;
}

export class StatusItem extends ReactWidget {
  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _onClick: () => void
  ) {
    super();
    this.addClass('jp-mod-highlighted');
  }

  /** Null: nothing to show. */
  set status(status: IStatus | null) {
    this._status = status;
    this.update();
  }

  get isEmpty(): boolean {
    return this._status === null;
  }

  protected render(): React.JSX.Element | null {
    if (this._status === null) {
      return null;
    }
    const text = statusText(this._status, this._trans);
    return (
      <TextItem
        source={text}
        title={this._trans.__('The environment of this notebook. Click to show its container.')}
        role="button"
        tabIndex={0}
        onClick={this._onClick}
        onKeyDown={(event: React.KeyboardEvent) => {
          if (event.key === 'Enter' || event.key === ' ') {
            event.preventDefault();
            this._onClick();
          }
        }}
      />
    );
  }

  private _status: IStatus | null = null;
}
