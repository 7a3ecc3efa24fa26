/** The section "Environments". */
import React from 'react';

import { commandsFor, mainCommand, sorted, stateLabel, summary, titleOf, TONES } from '../environments';
import { formatSize, shortDigest } from '../format';
import type { IEnvironment } from '../rest';
import { CommandIDs } from '../tokens';
import { List } from './list';
import { Empty, Facts } from './messages';
import { Row } from './row';
import { ISectionProps, useModel } from './section';

export function Environments(props: ISectionProps): React.JSX.Element | null {
  const { commands, model, trans } = props;
  useModel(model, 'environment', 'connection');
  const environments = sorted(model.environments);
  if (environments.length === 0) {
    return model.connection.state === 'live' ? (
      <Empty
        text={trans.__(
          'No environment yet. An environment is what a notebook needs: Python and Debian packages, kept as an image.'
        )}
        step={{
          label: trans.__('New environment…'),
          run: () => void commands.execute(CommandIDs.newEnvironment)
        }}
      />
    ) : null;
  }
  return (
    <List
      label={trans.__('Environments')}
      items={environments}
      keyOf={item => item.name}
      filter={{
        label: trans.__('Filter environments'),
        textOf: item => `${titleOf(item)} ${item.name} ${stateLabel(item.state, trans)}`,
        none: trans.__('No environment has all of these words.')
      }}
    >
      {(item, tabIndex, seen) => <EnvironmentRow {...props} item={item} tabIndex={tabIndex} seen={seen} />}
    </List>
  );
}

const EnvironmentRow = React.memo(function EnvironmentRow(
  props: ISectionProps & { item: IEnvironment; tabIndex: 0 | -1; seen: boolean }
): React.JSX.Element {
  const { commands, item, seen, tabIndex, trans } = props;
  return (
    <Row
      title={titleOf(item)}
      caption={`${titleOf(item)} (${item.name})`}
      summary={summary(item, trans)}
      tone={TONES[item.state]}
      percent={item.state === 'building' ? item.percent : undefined}
      buttons={[mainCommand(item), ...(item.state === 'building' ? [CommandIDs.cancelBuild] : [])]}
      menu={commandsFor(item)}
      menuLabel={trans.__('More about %1', titleOf(item))}
      args={{ environment: item.name }}
      commands={commands}
      tabIndex={tabIndex}
      seen={seen}
      details={() => <Details item={item} trans={trans} />}
    >
      {item.reason && <p className="jp-Containers-reason">{item.reason}</p>}
    </Row>
  );
});

function Details(props: { item: IEnvironment } & Pick<ISectionProps, 'trans'>): React.JSX.Element {
  const { item, trans } = props;
  const facts: [string, React.ReactNode][] = [[trans.__('Name'), item.name]];
  if (item.spec_file) {
    facts.push([trans.__('Spec'), <span title={item.spec_file}>{item.spec_file}</span>]);
  }
  if (item.packages) {
    facts.push([
      trans.__('Packages'),
      trans.__('%1 Python, %2 Debian', item.packages.pip, item.packages.apt)
    ]);
  }
  if (item.size !== null) {
    const shared = item.size - (item.own_size ?? 0);
    facts.push([trans.__('Size'), formatSize(item.size)]);
    facts.push([trans.__('Shared'), trans.__('%1, with other environments', formatSize(shared))]);
  }
  if (item.image) {
    facts.push([trans.__('Image'), <code title={item.image}>{shortDigest(item.image)}</code>]);
  }
  if (item.built_at !== null) {
    facts.push([trans.__('Built'), new Date(item.built_at * 1000).toLocaleString()]);
  }
  return <Facts facts={facts} />;
}
