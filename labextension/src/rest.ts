/**
 * Bodies of the REST interface (docs/rest-api.md, server/openapi.yaml), field by field. Times are seconds since the
 * epoch, sizes are bytes. Fields may be added by the server at any time.
 */

/** The number of the interface that this front end was written for; the server tells its own in `GET version`. */
export const API_VERSION = 1;

export interface IVersion {
  version: string;
  api: number;
}

export type EnvironmentState = 'not built' | 'building' | 'ready' | 'out of date' | 'broken';

export interface IEnvironment {
  name: string;
  display_name: string;
  language: string;
  spec_file: string;
  image: string | null;
  built_at: number | null;
  state: EnvironmentState;
  reason: string;
  build_id: string | null;
  phase: string | null;
  percent: number | null;
  size: number | null;
  own_size: number | null;
  containers: number;
  packages?: { apt: number; pip: number } | null;
  /** False: a spec in the server's root folder that nobody has made known yet. */
  known?: boolean;
  /** What it takes of the host beyond what the user has agreed to by building it, in words. */
  asks?: string[];
}

export type BuildState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted';

export interface IBuild {
  id: string;
  environment: string;
  spec_file: string;
  state: BuildState;
  phase: string | null;
  percent: number | null;
  started_at: number | null;
  ended_at: number | null;
  image: string;
  error: string;
  hint: string;
}

/** One message of a build; fields that say nothing are left out. */
export interface IBuildEvent {
  kind: 'phase' | 'step' | 'progress' | 'output' | 'result';
  time: number;
  phase?: string;
  step?: string;
  step_id?: string;
  cached?: boolean;
  done?: number;
  total?: number;
  unit?: '' | 'bytes' | 'items';
  text?: string;
  image?: string;
  error?: string;
  hint?: string;
}

export interface ILayer {
  diff_id: string;
  size: number;
  created_by: string;
}

/** A step of an image's history; `diff_id` is empty where it made no layer. */
export interface IHistoryEntry extends ILayer {
  created: number | null;
  comment: string;
}

export interface IImage {
  digest: string;
  references: string[];
  created_at: number;
  layers: ILayer[];
  size: number;
  own_size: number;
  environments: string[];
}

export interface ILimit {
  limit: string;
  asked: number;
  enforced_by: string;
  note: string;
}

export interface IContainer {
  id: string;
  name: string;
  image: string;
  image_name: string;
  kind: string;
  argv: string[];
  status: 'created' | 'running' | 'paused' | 'exited';
  created_at: number;
  started_at: number | null;
  ended_at: number | null;
  pid: number | null;
  exit_code: number | null;
  cause: string;
  limits: ILimit[];
  labels: { [name: string]: string };
}

/** One look at what a container uses; `cpu_percent` 100 is one CPU. */
export interface ISample {
  id: string;
  cpu_percent: number;
  memory: number;
  memory_limit: number | null;
  memory_peak: number | null;
  pids: number;
  at: number;
}

export interface IFinding {
  name: string;
  status: 'ok' | 'warning' | 'failed';
  found: string;
  remedy: string;
}

export interface IDiagnosis {
  checked_at: number;
  findings: IFinding[];
  store?: { path: string; bytes: number; free: number } | null;
}

export interface IProblem {
  file: string;
  line: number | null;
  key: string;
  cause: string;
  remedy: string;
}

/** The body of every answer with a status of 400 or more. */
export interface IErrorReply {
  message: string;
  reason: string;
  hint: string;
  problems: IProblem[];
  output: string;
}

export type JobState = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** A transfer or another long piece of work that is not a build. */
export interface IJob {
  id: string;
  kind: string;
  title: string;
  state: JobState;
  percent: number | null;
  error: string;
  hint: string;
  phase?: string;
  /** What deserves a look and stops nothing. */
  notes?: string[];
  /** What came of it, by kind: {@link IPackagesChanged} of `add` and `remove`, {@link ITaken} of `open`. */
  result?: unknown;
  /** No other job of the same word runs beside it. */
  alone?: string;
}

/** What came of adding or removing packages. */
export interface IPackagesChanged {
  /** Those that have changed the spec. */
  requirements: string[];
  packages: ILockedPackage[];
  changed: IMovedPackage[];
  removed: ILockedPackage[];
  /** Packages that a running kernel gets with its restart. */
  restart: string[];
  /** Empty: the environment is not built yet. */
  image: string;
  container?: string | null;
}

/** What a notebook carries of its environment, in its metadata; other keys beside are no part of it. */
export interface ICarried {
  version: number;
  name: string;
  spec: string;
  lock: string;
  digest: string;
  references: string[];
}

/** What is to be said of what a notebook carries, before anything is done. */
export interface IChecked {
  state: 'none' | 'present' | 'missing' | 'invalid';
  /** Its name here where it is present, else the one that it would get. */
  environment: string;
  digest: string;
  /** What opening it would do, a line each: a stranger's words. */
  would: string[];
  problems: IProblem[];
  trusted: boolean;
}

/** What came of opening the environment of a notebook. */
export interface ITaken {
  environment: string;
  digest: string;
  expected: string;
  /** It is the very image that the notebook was made with. */
  same: boolean;
  how: 'present' | 'pulled' | 'built';
}

export interface ISpecFile {
  path: string;
  text: string;
  /** Changes with the text. */
  version: string;
  editable: boolean;
  /** Why it is not editable. */
  reason: string;
}

export interface ISpecCheck {
  problems: IProblem[];
  /** The document as written; null where it can't be parsed. */
  document: SpecDocument | null;
}

/** A `jupyter-container.toml` as a TOML parser has it. */
export type SpecDocument = { [key: string]: SpecValue };
export type SpecValue = string | number | boolean | SpecValue[] | { [key: string]: SpecValue };

/** A value of the document that is to be another; null: it is to go. */
export interface ISpecEdit {
  key: string[];
  value: SpecValue | null;
}

export interface ISpecDraft {
  text: string;
  /** Absolute: where the file would be written. */
  folder: string;
  found: string[];
  notes: string[];
}

export interface ILockedPackage {
  kind: string;
  name: string;
  version: string;
}

/** A package at another version than before. */
export interface IMovedPackage {
  kind: string;
  name: string;
  before: string;
  after: string;
}

/** What has changed in the lock of an environment since its image was built. */
export interface ILockDiff {
  added: ILockedPackage[];
  removed: ILockedPackage[];
  changed: IMovedPackage[];
  reasons: string[];
}

export interface IPackage {
  name: string;
  version: string;
  summary: string;
  requires_python: string;
}

export interface IPackageVersions {
  name: string;
  /** Newest first. */
  versions: string[];
  summary: string;
}

export interface IPackageSearch {
  items: IPackage[];
  source: string;
  /** False: only what is known here, and the exact name, is found. */
  complete: boolean;
}

/** What the feed sends first, and again after each reconnection. */
export interface ISnapshot {
  environments: IEnvironment[];
  containers: IContainer[];
  builds: IBuild[];
  images: IImage[];
  jobs?: IJob[];
}

/** What the feed sends when one thing has changed; `item` null: it is gone. */
export type FeedChange =
  | { kind: 'environment'; key: string; item: IEnvironment | null }
  | { kind: 'container'; key: string; item: IContainer | null }
  | { kind: 'build'; key: string; item: IBuild | null }
  | { kind: 'image'; key: string; item: IImage | null }
  | { kind: 'job'; key: string; item: IJob | null };

/** Limits that are chosen for one notebook; what is left out, or null, is the environment's. */
export interface ILimitsChoice {
  /** Bytes, or with a unit: `2G`. */
  memory?: number | string | null;
  cpus?: number | null;
  pids?: number | null;
  gpus?: number | null;
  network?: 'none' | 'full' | null;
  /** Files that each process may have open at once. */
  files?: number | null;
  /** How long a kernel may run: seconds, or with a unit: `2h`. */
  time?: number | string | null;
}

/** Limits that can be changed while a container runs; memory is in bytes. */
export interface ILiveLimits {
  memory?: number;
  cpus?: number;
  pids?: number;
}

export interface ILimits {
  /** What the administrator allows; null: as much as one likes. */
  maximum: {
    memory: number | null;
    cpus: number | null;
    pids: number | null;
    gpus: number | null;
    network: 'none' | 'full';
    files: number | null;
    /** Seconds. */
    time: number | null;
  };
  /** What this host can't hold a kernel to, each with the reason. */
  unenforced: { [limit: string]: string };
  defaults: ILimitsChoice;
  host: { memory: number; cpus: number };
  /** What kernels of the environment that was asked about have by themselves. */
  environment?: ILimitsChoice | null;
  /** What the user of the notebook that was asked about has agreed to, in this server's life. */
  agreed?: ILimitsChoice | null;
}

/** A kernel that ended without being asked to. */
export interface IDeath {
  kernel_id: string;
  container: string;
  name: string;
  environment: string;
  notebook: string;
  message: string;
  hint: string;
  /** It was killed for memory. */
  oom: boolean;
  memory_limit: number | null;
  memory_peak: number | null;
  exit_code: number | null;
  at: number;
}

/** What a prune removes, or would. */
export interface IPruned {
  removed: string[];
  freed: number;
}
