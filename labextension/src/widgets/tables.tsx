/** What dialogs show: lock differences, the history of an image, what a prune removes. */
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import { formatSize, shortDigest } from '../format';
import type { IEnvironment, ILayer, ILockDiff, IPruned } from '../rest';

/** The body of a dialog. */
export function body(element: React.ReactElement): ReactWidget {
  const widget = ReactWidget.create(element);
  widget.addClass('jp-Containers-dialog');
  return widget;
}

export function LockDiff(props: { diff: ILockDiff; trans: TranslationBundle }): React.JSX.Element {
  const { diff, trans } = props;
  const same = diff.added.length + diff.removed.length + diff.changed.length === 0;
  return (
    <>
      {diff.reasons.map(reason => (
        <p key={reason}>{reason}</p>
      ))}
      {same && <p>{trans.__('The lock has what the image has.')}</p>}
      {!same && (
        <Differences
          {...diff}
          before={trans.__('In the image')}
          after={trans.__('In the lock')}
          trans={trans}
        />
      )}
    </>
  );
}

/** Packages that came, went, or are at another version; *before* and *after* are the heads of the columns. */
export function Differences(
  props: Pick<ILockDiff, 'added' | 'changed' | 'removed'> & {
    before: string;
    after: string;
    trans: TranslationBundle;
  }
): React.JSX.Element {
  const { added, after, before, changed, removed, trans } = props;
  return (
    <table className="jp-Containers-table">
      <thead>
        <tr>
          <th scope="col">{trans.__('Package')}</th>
          <th scope="col">{before}</th>
          <th scope="col">{after}</th>
        </tr>
      </thead>
      <tbody>
        {changed.map(item => (
          <Change
            key={`=${item.kind}${item.name}`}
            name={item.name}
            before={item.before}
            after={item.after}
          />
        ))}
        {added.map(item => (
          <Change key={`+${item.kind}${item.name}`} name={item.name} before="—" after={item.version} />
        ))}
        {removed.map(item => (
          <Change key={`-${item.kind}${item.name}`} name={item.name} before={item.version} after="—" />
        ))}
      </tbody>
    </table>
  );
}

function Change(props: { name: string; before: string; after: string }): React.JSX.Element {
  return (
    <tr>
      <th scope="row">{props.name}</th>
      <td>{props.before}</td>
      <td>{props.after}</td>
    </tr>
  );
}

export function History(props: { layers: readonly ILayer[]; trans: TranslationBundle }): React.JSX.Element {
  const { layers, trans } = props;
  return (
    <table className="jp-Containers-table">
      <thead>
        <tr>
          <th scope="col">{trans.__('Made by')}</th>
          <th scope="col">{trans.__('Layer')}</th>
          <th scope="col">{trans.__('Size')}</th>
        </tr>
      </thead>
      <tbody>
        {[...layers].reverse().map((layer, index) => (
          <tr key={index}>
            <td className="jp-Containers-made">{layer.created_by}</td>
            <td>{layer.diff_id ? <code title={layer.diff_id}>{shortDigest(layer.diff_id)}</code> : '—'}</td>
            <td className="jp-Containers-number">{formatSize(layer.size)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Prune(props: { pruned: IPruned; trans: TranslationBundle }): React.JSX.Element {
  const { pruned, trans } = props;
  if (pruned.removed.length === 0) {
    return <p>{trans.__('There is nothing to remove: all that is in the store is in use.')}</p>;
  }
  return (
    <>
      <p>{trans.__('This goes, and frees %1:', formatSize(pruned.freed))}</p>
      <ul className="jp-Containers-goes">
        {pruned.removed.map(item => (
          <li key={item}>{item}</li>
        ))}
      </ul>
    </>
  );
}

/** What an environment asks for that was not agreed to yet. */
export function Asks(props: { environment: IEnvironment; trans: TranslationBundle }): React.JSX.Element {
  const { environment, trans } = props;
  const asks = environment.asks ?? [];
  return (
    <>
      {asks.length > 0 ? (
        <>
          <p>
            {environment.image === null
              ? trans.__('It has not been built by you yet, and it asks for more than packages in a sandbox:')
              : trans.__('It asks for more than it did when you built it last:')}
          </p>
          <ul className="jp-Containers-goes">
            {asks.map(item => (
              <li key={item}>{item}</li>
            ))}
          </ul>
        </>
      ) : (
        <p>
          {trans.__('It is built before its kernel starts. It takes no more than packages in a sandbox.')}
        </p>
      )}
      <p>{trans.__('Its spec is %1', environment.spec_file)}</p>
    </>
  );
}
