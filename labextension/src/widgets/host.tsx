/** The section "Host": what this host can do, and what the store takes. */
import { checkIcon, errorIcon, LabIcon } from '@jupyterlab/ui-components';
import { ISignal } from '@lumino/signaling';
import React, { useCallback, useEffect, useState } from 'react';

import { ApiError, asApiError } from '../api';
import { formatSize } from '../format';
import { warningIcon } from '../icons';
import { totalSize } from '../images';
import type { IDiagnosis, IFinding } from '../rest';
import { Empty, Facts, Trouble } from './messages';
import { ISectionProps, useModel } from './section';

const ICONS: { readonly [status in IFinding['status']]: LabIcon } = {
  ok: checkIcon,
  warning: warningIcon,
  failed: errorIcon
};

export interface IHostProps extends ISectionProps {
  /** Emitted when the host is to be checked again. */
  checks: ISignal<unknown, void>;
}

export function Host(props: IHostProps): React.JSX.Element | null {
  const { checks, model, trans } = props;
  useModel(model, 'connection', 'image');
  const live = model.connection.state === 'live';
  const [diagnosis, setDiagnosis] = useState<IDiagnosis | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);

  const check = useCallback(async () => {
    setBusy(true);
    try {
      setDiagnosis(await model.api.diagnosis(false));
      setError(null);
    } catch (reason) {
      setError(asApiError(reason));
    } finally {
      setBusy(false);
    }
  }, [model]);

  // Images that come or go change what the store takes.
  const stored = totalSize(model.images.values());
  useEffect(() => {
    if (live) {
      void check();
    }
  }, [live, check, stored]);
  useEffect(() => {
    const slot = () => void check();
    checks.connect(slot);
    return () => void checks.disconnect(slot);
  }, [checks, check]);

  if (error) {
    return (
      <Trouble
        message={error.message}
        hint={error.hint}
        steps={[{ label: trans.__('Try again'), run: () => void check() }]}
      />
    );
  }
  if (diagnosis === null) {
    return live ? <Empty text={trans.__('Checking what this host can do …')} /> : null;
  }
  // What needs attention comes first.
  const order = ['failed', 'warning', 'ok'];
  const findings = [...diagnosis.findings].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  return (
    <div className="jp-Containers-host" aria-busy={busy}>
      <Facts facts={storeFacts(props, diagnosis)} />
      <ul className="jp-Containers-findings" aria-label={trans.__('Findings')}>
        {findings.map(finding => (
          <FindingItem key={finding.name} finding={finding} trans={trans} />
        ))}
      </ul>
    </div>
  );
}

function storeFacts(props: ISectionProps, diagnosis: IDiagnosis): [string, React.ReactNode][] {
  const { model, trans } = props;
  const { store } = diagnosis;
  const facts: [string, React.ReactNode][] = [];
  if (store) {
    facts.push([trans.__('Store'), <span title={store.path}>{store.path}</span>]);
    facts.push([
      trans.__('On disk'),
      trans.__('%1, %2 free', formatSize(store.bytes), formatSize(store.free))
    ]);
  }
  facts.push([
    trans.__('Images'),
    trans._n(
      '%2 in %1 image',
      '%2 in %1 images',
      model.images.size,
      formatSize(totalSize(model.images.values()))
    )
  ]);
  return facts;
}

function FindingItem(props: { finding: IFinding } & Pick<ISectionProps, 'trans'>): React.JSX.Element {
  const { finding, trans } = props;
  const Icon = ICONS[finding.status];
  const words = { ok: trans.__('works'), warning: trans.__('in part'), failed: trans.__('does not work') };
  return (
    <li data-status={finding.status}>
      <Icon.react tag="span" className="jp-Containers-finding-icon" />
      <div>
        <p>
          <strong>{finding.name}</strong>
          <span className="jp-Containers-finding-status"> · {words[finding.status]}</span>
        </p>
        <p>{finding.found}</p>
        {finding.remedy && finding.status !== 'ok' && (
          <p className="jp-Containers-remedy">{finding.remedy}</p>
        )}
      </div>
    </li>
  );
}
