/** The plugins of the front end, one per feature. */
import { bannersPlugin } from './plugins/banners';
import { buildingPlugin } from './plugins/building';
import { carryingPlugin } from './plugins/carrying';
import { deathsPlugin } from './plugins/deaths';
import { environmentsPlugin } from './plugins/environments';
import { imagesPlugin } from './plugins/images';
import { launcherPlugin } from './plugins/launcher';
import { limitsPlugin } from './plugins/limits';
import { logsPlugin } from './plugins/logs';
import { modelPlugin } from './plugins/model';
import { notificationsPlugin } from './plugins/notifications';
import { packagesPlugin } from './plugins/packages';
import { panelPlugin } from './plugins/panel';
import { pickerPlugin } from './plugins/picker';
import { queuePlugin } from './plugins/queue';
import { runningPlugin } from './plugins/running';
import { settingsPlugin } from './plugins/settings';
import { specsPlugin } from './plugins/specs';
import { statusPlugin } from './plugins/statusbar';

export * from './tokens';

export default [
  settingsPlugin,
  modelPlugin,
  bannersPlugin,
  panelPlugin,
  environmentsPlugin,
  specsPlugin,
  packagesPlugin,
  carryingPlugin,
  runningPlugin,
  imagesPlugin,
  logsPlugin,
  buildingPlugin,
  queuePlugin,
  limitsPlugin,
  deathsPlugin,
  launcherPlugin,
  pickerPlugin,
  statusPlugin,
  notificationsPlugin
];
