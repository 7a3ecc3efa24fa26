/** The section "Images". */
import React from 'react';

import { formatSize, shortDigest } from '../format';
import { sorted, summary, titleOf } from '../images';
import type { IImage } from '../rest';
import { CommandIDs } from '../tokens';
import { List } from './list';
import { Empty, Facts } from './messages';
import { Row } from './row';
import { ISectionProps, useModel } from './section';

export function Images(props: ISectionProps): React.JSX.Element | null {
  const { commands, model, trans } = props;
  useModel(model, 'image', 'connection');
  const images = sorted(model.images);
  if (images.length === 0) {
    return model.connection.state === 'live' ? (
      <Empty
        text={trans.__('The store is empty. Images come from builds, from registries and from archives.')}
        step={{ label: trans.__('Pull an image…'), run: () => void commands.execute(CommandIDs.pullImage) }}
      />
    ) : null;
  }
  return (
    <List
      label={trans.__('Images')}
      items={images}
      keyOf={item => item.digest}
      filter={{
        label: trans.__('Filter images'),
        textOf: item => [...item.references, ...item.environments, item.digest].join(' '),
        none: trans.__('No image has all of these words.')
      }}
    >
      {(item, tabIndex, seen) => <ImageRow {...props} item={item} tabIndex={tabIndex} seen={seen} />}
    </List>
  );
}

const MENU = [[CommandIDs.showHistory], [CommandIDs.removeImage]];

const ImageRow = React.memo(function ImageRow(
  props: ISectionProps & { item: IImage; tabIndex: 0 | -1; seen: boolean }
): React.JSX.Element {
  const { commands, item, seen, tabIndex, trans } = props;
  return (
    <Row
      title={titleOf(item)}
      caption={[...item.references, item.digest].join('\n')}
      summary={summary(item, trans)}
      buttons={[CommandIDs.showHistory]}
      menu={MENU}
      menuLabel={trans.__('More about %1', titleOf(item))}
      args={{ image: item.digest }}
      commands={commands}
      tabIndex={tabIndex}
      seen={seen}
      details={() => <Details item={item} trans={trans} />}
    />
  );
});

function Details(props: { item: IImage } & Pick<ISectionProps, 'trans'>): React.JSX.Element {
  const { item, trans } = props;
  const facts: [string, React.ReactNode][] = [
    [trans.__('Digest'), <code title={item.digest}>{shortDigest(item.digest)}</code>]
  ];
  if (item.environments.length > 0) {
    facts.push([trans.__('Of'), item.environments.join(', ')]);
  }
  if (item.references.length > 1) {
    facts.push([trans.__('Names'), item.references.join(', ')]);
  }
  return (
    <>
      <Facts facts={facts} />
      <h4>{trans.__('Layers, topmost first')}</h4>
      <ol className="jp-Containers-layers" reversed>
        {[...item.layers].reverse().map(layer => (
          <li key={layer.diff_id}>
            <span className="jp-Containers-layer-title" title={layer.created_by}>
              {layer.created_by || shortDigest(layer.diff_id)}
            </span>
            <span className="jp-Containers-layer-size">{formatSize(layer.size)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}
