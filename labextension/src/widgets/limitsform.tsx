/** The limits of a notebook, in a dialog: each as its environment has it, or another within what is allowed. */
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useId } from 'react';

import { formatSize } from '../format';
import { limitText, parseSize, withinMaximum } from '../limits';
import type { ILimits, ILimitsChoice } from '../rest';

const UNITS = { MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
type Unit = keyof typeof UNITS;

/** What the fields hold, as it is typed; empty: as the environment has it. */
export interface ILimitsDraft {
  memory: string;
  unit: Unit;
  cpus: string;
  gpus: string;
  network: '' | 'none' | 'full';
}

export function draftOf(limits: ILimitsChoice): ILimitsDraft {
  const bytes = parseSize(limits.memory) ?? 0;
  const unit: Unit = bytes > 0 && bytes % UNITS.GiB !== 0 ? 'MiB' : 'GiB';
  return {
    memory: bytes > 0 ? String(Math.round((bytes / UNITS[unit]) * 100) / 100) : '',
    unit,
    cpus: String(limits.cpus ?? ''),
    gpus: String(limits.gpus ?? ''),
    network: limits.network ?? ''
  };
}

/** What *draft* says, as far as it is a number, and within what is allowed. The limit of processes has no field, and stays. */
export function limitsOf(draft: ILimitsDraft, before: ILimitsChoice, allowed: ILimits): ILimitsChoice {
  const number = (text: string) =>
    text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : null;
  const limits: ILimitsChoice = {};
  const memory = number(draft.memory);
  if (memory !== null && memory > 0) {
    limits.memory = Math.round(memory * UNITS[draft.unit]);
  }
  const cpus = number(draft.cpus);
  if (cpus !== null && cpus > 0) {
    limits.cpus = cpus;
  }
  const gpus = number(draft.gpus);
  if (gpus !== null && gpus >= 0) {
    limits.gpus = Math.floor(gpus);
  }
  if (draft.network) {
    limits.network = draft.network;
  }
  if ((before.pids ?? null) !== null) {
    limits.pids = before.pids;
  }
  return withinMaximum(limits, allowed.maximum);
}

export interface ILimitsFieldsProps {
  draft: ILimitsDraft;
  allowed: ILimits;
  trans: TranslationBundle;
  onChange: (draft: ILimitsDraft) => void;
}

export function LimitsFields(props: ILimitsFieldsProps): React.JSX.Element {
  const { allowed, draft, onChange, trans } = props;
  const { environment: own, maximum, unenforced } = allowed;
  const id = useId();
  const set = (values: Partial<ILimitsDraft>) => onChange({ ...draft, ...values });
  const memory = parseSize(own?.memory);
  const most = maximum.memory ?? allowed.host.memory;
  return (
    <div className="jp-Containers-limits-fields">
      <label htmlFor={`${id}-memory`}>{trans.__('Memory')}</label>
      <div>
        <div className="jp-Containers-limits-value">
          <input
            id={`${id}-memory`}
            type="number"
            min={0}
            step="any"
            max={most / UNITS[draft.unit]}
            value={draft.memory}
            placeholder={own ? limitText('memory', memory, trans) : ''}
            aria-describedby={`${id}-memory-note`}
            onChange={event => set({ memory: event.target.value })}
          />
          <select
            className="jp-Containers-limits-unit"
            aria-label={trans.__('Unit of the memory')}
            value={draft.unit}
            onChange={event => set({ unit: event.target.value as Unit })}
          >
            {Object.keys(UNITS).map(unit => (
              <option key={unit}>{unit}</option>
            ))}
          </select>
        </div>
        <Note
          id={`${id}-memory-note`}
          texts={[
            maximum.memory !== null
              ? trans.__('At most %1.', formatSize(maximum.memory))
              : trans.__('This host has %1.', formatSize(allowed.host.memory)),
            lack(unenforced.memory, trans)
          ]}
        />
      </div>
      <label htmlFor={`${id}-cpus`}>{trans.__('CPUs')}</label>
      <div>
        <div className="jp-Containers-limits-value">
          <input
            id={`${id}-cpus`}
            type="number"
            min={0}
            step="any"
            max={maximum.cpus ?? undefined}
            value={draft.cpus}
            placeholder={own ? limitText('cpus', own.cpus, trans) : ''}
            aria-describedby={`${id}-cpus-note`}
            onChange={event => set({ cpus: event.target.value })}
          />
        </div>
        <Note
          id={`${id}-cpus-note`}
          texts={[
            maximum.cpus !== null
              ? trans.__('At most %1.', maximum.cpus)
              : trans.__('This host has %1; 0.5 is half of one.', allowed.host.cpus),
            lack(unenforced.cpus, trans)
          ]}
        />
      </div>
      {maximum.gpus !== 0 && (
        <>
          <label htmlFor={`${id}-gpus`}>{trans.__('GPUs')}</label>
          <div>
            <div className="jp-Containers-limits-value">
              <input
                id={`${id}-gpus`}
                type="number"
                min={0}
                step={1}
                max={maximum.gpus ?? undefined}
                value={draft.gpus}
                placeholder={own ? limitText('gpus', own.gpus, trans) : ''}
                aria-describedby={`${id}-gpus-note`}
                onChange={event => set({ gpus: event.target.value })}
              />
            </div>
            <Note
              id={`${id}-gpus-note`}
              texts={[
                maximum.gpus !== null ? trans.__('At most %1.', maximum.gpus) : '',
                lack(unenforced.gpus, trans)
              ]}
            />
          </div>
        </>
      )}
      <label htmlFor={`${id}-network`}>{trans.__('Network')}</label>
      <div>
        <div className="jp-Containers-limits-value">
          <select
            id={`${id}-network`}
            className="jp-Containers-limits-network"
            value={draft.network}
            aria-describedby={`${id}-network-note`}
            onChange={event => set({ network: event.target.value as ILimitsDraft['network'] })}
          >
            <option value="">
              {own
                ? trans.__('As the environment: %1', limitText('network', own.network ?? 'none', trans))
                : trans.__('As the environment')}
            </option>
            <option value="none">{trans.__('None')}</option>
            {maximum.network === 'full' && <option value="full">{trans.__('What this host reaches')}</option>}
          </select>
        </div>
        <Note
          id={`${id}-network-note`}
          texts={[maximum.network === 'none' ? trans.__('No kernel has a network here.') : '']}
        />
      </div>
    </div>
  );
}

function lack(reason: string | undefined, trans: TranslationBundle): string {
  return reason ? trans.__('This host can’t hold a kernel to it: %1', reason) : '';
}

function Note(props: { id: string; texts: readonly string[] }): React.JSX.Element {
  return <small id={props.id}>{props.texts.filter(text => text).join(' ')}</small>;
}

/** The fields as the body, or a part of the body, of a dialog. */
export class LimitsForm extends ReactWidget {
  constructor(
    private readonly _before: ILimitsChoice,
    private _allowed: ILimits,
    private readonly _trans: TranslationBundle,
    private readonly _intro = ''
  ) {
    super();
    this.addClass('jp-Containers-limits');
    this._draft = draftOf(_before);
  }

  /** What the administrator allows, and what the environment has, which may be another one now. */
  set allowed(allowed: ILimits) {
    this._allowed = allowed;
    this.update();
  }

  /** Whether the fields are there; unseen they need not be. */
  set isOpen(open: boolean) {
    this._isOpen = open;
    this.update();
  }

  getValue(): ILimitsChoice {
    return limitsOf(this._draft, this._before, this._allowed);
  }

  protected render(): React.JSX.Element {
    return (
      <>
        {this._intro && <p>{this._intro}</p>}
        {this._isOpen && (
          <LimitsFields
            draft={this._draft}
            allowed={this._allowed}
            trans={this._trans}
            onChange={draft => {
              this._draft = draft;
              this.update();
            }}
          />
        )}
      </>
    );
  }

  private _draft: ILimitsDraft;
  private _isOpen = true;
}
