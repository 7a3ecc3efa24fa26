/** The plugins of the front end, one per feature. */
import { buildingPlugin } from './plugins/building';
import { environmentsPlugin } from './plugins/environments';
import { imagesPlugin } from './plugins/images';
import { launcherPlugin } from './plugins/launcher';
import { logsPlugin } from './plugins/logs';
import { modelPlugin } from './plugins/model';
import { notificationsPlugin } from './plugins/notifications';
import { panelPlugin } from './plugins/panel';
import { pickerPlugin } from './plugins/picker';
import { runningPlugin } from './plugins/running';
import { specsPlugin } from './plugins/specs';
import { statusPlugin } from './plugins/statusbar';

export * from './tokens';

export default [
  modelPlugin,
  panelPlugin,
  environmentsPlugin,
  specsPlugin,
  runningPlugin,
  imagesPlugin,
  logsPlugin,
  buildingPlugin,
  launcherPlugin,
  pickerPlugin,
  statusPlugin,
  notificationsPlugin
];
