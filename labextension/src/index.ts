/** The plugins of the front end, one per feature. */
import { bannersPlugin } from './plugins/banners';
import { buildingPlugin } from './plugins/building';
import { deathsPlugin } from './plugins/deaths';
import { environmentsPlugin } from './plugins/environments';
import { imagesPlugin } from './plugins/images';
import { launcherPlugin } from './plugins/launcher';
import { logsPlugin } from './plugins/logs';
import { limitsPlugin } from './plugins/limits';
import { modelPlugin } from './plugins/model';
import { notificationsPlugin } from './plugins/notifications';
import { panelPlugin } from './plugins/panel';
import { pickerPlugin } from './plugins/picker';
import { runningPlugin } from './plugins/running';
import { specsPlugin } from './plugins/specs';
import { statusPlugin } from './plugins/statusbar';
import { settingsPlugin } from './plugins/settings';

export * from './tokens';

export default [
  modelPlugin,
  panelPlugin,
  settingsPlugin,
  environmentsPlugin,
  bannersPlugin,
  specsPlugin,
  runningPlugin,
  imagesPlugin,
  logsPlugin,
  buildingPlugin,
  launcherPlugin,
  pickerPlugin,
  statusPlugin,
  notificationsPlugin
  limitsPlugin,
  deathsPlugin,
];
