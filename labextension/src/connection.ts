/** How the front end and the server extension stand to each other, and the words for it. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { API_VERSION, IVersion } from './rest';

export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  /** It was there, or should be; it is tried again and again. */
  | { state: 'lost'; message: string }
  /** The server has no such extension. */
  | { state: 'absent' }
  /** The server speaks another interface. */
  | { state: 'incompatible'; server: IVersion }
  /** The server does not want to: not logged in, not allowed. */
  | { state: 'refused'; message: string; hint: string };

/** Why a server of this version can't be talked to; null: it can. */
export function checkVersion(server: IVersion): Connection | null {
  return server.api === API_VERSION ? null : { state: 'incompatible', server };
}

/** What to show of a connection that is not live: what is the matter, and the next step. Null: nothing. */
export function describeConnection(
  connection: Connection,
  trans: TranslationBundle
): { message: string; hint: string } | null {
  switch (connection.state) {
    case 'live':
    case 'connecting':
      return null;
    case 'lost':
      return {
        message: trans.__('The server does not answer.'),
        hint: trans.__('What you see is what was known before. It is tried again by itself.')
      };
    case 'absent':
      return {
        message: trans.__('This Jupyter server has no containers extension.'),
        hint: trans.__(
          'Install jupyter_containers into the environment of the server, see that `jupyter server extension list` shows it as enabled, and start the server again.'
        )
      };
    case 'incompatible':
      return {
        message: trans.__(
          'This page speaks interface %1 of jupyter_containers; the server (version %2) speaks %3.',
          API_VERSION,
          connection.server.version,
          connection.server.api
        ),
        hint:
          connection.server.api > API_VERSION
            ? trans.__('Reload the page. If that does not help, install the same version in both places.')
            : trans.__('Upgrade jupyter_containers on the server, and start the server again.')
      };
    case 'refused':
      return {
        message: connection.message,
        hint: connection.hint || trans.__('Reload the page to log in again.')
      };
  }
}
