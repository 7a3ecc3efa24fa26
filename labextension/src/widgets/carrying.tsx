/** What dialogs show of the environment that a notebook carries. The notebook's words are a stranger's: shown as text. */
import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { IBrought, visible } from '../carried';
import { formatSize, shortDigest } from '../format';
import type { IChecked } from '../rest';
import { Facts } from './messages';

/** What opening it would do. */
export function Would(props: {
  checked: IChecked;
  brought: IBrought;
  path: string;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { brought, checked, path, trans } = props;
  return (
    <>
      <p>
        {trans.__(
          '%1 brings its environment along, and it is not here. Opening it would do this:',
          visible(path)
        )}
      </p>
      <ul className="jp-Containers-goes" tabIndex={0} aria-label={trans.__('What would be done')}>
        {checked.would.map((line, index) => (
          <li key={index}>{visible(line)}</li>
        ))}
      </ul>
      <Facts
        facts={[
          [trans.__('Environment'), visible(checked.environment)],
          [
            trans.__('Image'),
            <code title={visible(brought.digest)}>{shortDigest(visible(brought.digest))}</code>
          ]
        ]}
      />
      <p>
        {trans.__(
          'Nothing of it is fetched or run unless you agree. Agree if you trust whom the notebook comes from.'
        )}
      </p>
    </>
  );
}

/** What a notebook carries, and whether that is what its environment is now. */
export function Brought(props: {
  brought: IBrought;
  /** The environment that it would carry from now on, and its image. */
  now: { title: string; image: string | null } | null;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { brought, now, trans } = props;
  const same = now?.image === brought.digest;
  return (
    <>
      <Facts
        facts={[
          [trans.__('Environment'), visible(brought.name)],
          [
            trans.__('Image'),
            <code title={visible(brought.digest)}>{shortDigest(visible(brought.digest))}</code>
          ],
          [trans.__('Spec and lock'), formatSize(brought.size)]
        ]}
      />
      <p>
        {now === null
          ? trans.__('To update it, choose an environment.')
          : same
            ? trans.__('This is %1 as it is now.', now.title)
            : trans.__('%1 is another image by now. Update, and the notebook carries that one.', now.title)}
      </p>
    </>
  );
}
