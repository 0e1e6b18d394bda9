// Made from tests/service/http/openapi.json by tests/service/web/api_types.py.

interface CandidateOut {
  box: (number)[];
  category: string | null;
  long_mm: number | null;
  score: number;
}

interface CapabilitiesOut {
  categories: boolean;
  detect: boolean;
  follow: boolean;
  forecast: boolean;
  measure: boolean;
  measured: boolean;
  mine: ("folders" | "pacs")[];
  pacs: boolean;
  report: boolean;
  study_list: boolean;
  write: boolean;
}

interface CategoriesOut {
  categories: (CategoryFactsOut)[];
  settled: boolean;
  tree: (JoinOut)[];
}

interface CategoryFactsOut {
  category: string;
  lesions: number;
  name: string;
  share: number;
  tags: (string)[];
  tracks: number;
  typed_tracks: number;
}

interface CategoryOut {
  colour: string;
  label: string;
}

interface CellOut {
  change_pct: number | null;
  lesion_ids: (string)[];
  notes: (string)[];
  study_id: string;
  tone: "sure" | "new" | "absent" | "joint" | "doubt" | "unknown";
  word: string;
}

interface ChipOut {
  label: string;
  role: "must" | "should" | "not" | "filter";
  term: string | null;
  text_without: string;
  words: string;
}

interface ComponentOut {
  name: string;
  note: string;
  outlook: OutlookOut | null;
  weight: number;
}

interface CoursePointOut {
  days: number | null;
  lesion_ids: (string)[];
  size: number;
  study_date: string | null;
  study_id: string;
}

interface CoverageOut {
  boxes: number;
  series_z: (number)[];
  share: number;
  slices: (number)[] | null;
  z: (number)[] | null;
}

interface DetectForm {
  all?: boolean;
  assume_hu?: boolean;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  key_slice_index?: number | null;
  series?: string | null;
  spacing?: string | null;
  upload_id?: string | null;
}

interface DetectOut {
  candidates: (CandidateOut)[];
  detector: DetectorOut;
  grid: "file" | "display";
  key_slice_index: number;
  timing_ms: TimingOut;
  warnings: (string)[];
}

interface DetectorOut {
  fingerprint: string;
  name: string;
}

interface DoublingTimeOut {
  days: number | null;
  exponential_probability: number;
  fastest_days: number | null;
  growing_probability: number;
  sizes: number;
  slowest_days: number | null;
}

interface EncoderOut {
  dimension: number;
  fingerprint: string;
  name: string;
}

interface EstimateOut {
  interval_50: (number)[] | null;
  interval_90: (number)[] | null;
  unit: "mm" | "mm2" | "mm3" | "HU";
  value: number;
}

interface ExpectedOut {
  error: (number)[];
  location: (number)[];
  source: "location" | "both series" | "registration";
}

interface FileForm {
  assume_hu?: boolean;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  key_slice_index?: number | null;
  series?: string | null;
  spacing?: string | null;
}

interface FindingOut {
  box: (number)[];
  detector_score: number | null;
  key_slice_index: number;
  long_mm: number | null;
  score: number;
  similarity: number;
  terms: MatchTermsOut;
}

interface FlagOut {
  name: string;
  text: string;
}

interface FollowForm {
  accept?: number | null;
  assume_hu?: boolean;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  keep?: boolean;
  key_slice_index?: number | null;
  lesion_id: string;
  patient_id?: string | null;
  series?: string | null;
  spacing?: string | null;
  study_date?: string | null;
  study_id?: string | null;
  upload_id?: string | null;
}

interface FollowOut {
  accepted: LesionOut | null;
  box: (number)[] | null;
  candidates: (FindingOut)[];
  covered: CoverageOut;
  expected: ExpectedOut;
  grid: Grid;
  kept: boolean;
  key_slice_index: number | null;
  lesion_id: string;
  notice: string;
  probability_there: number;
  score: number | null;
  similarity: number | null;
  state: "found" | "uncertain" | "not found";
  study_date: string | null;
  study_id: string | null;
  warnings: (string)[];
}

interface FollowUpOut {
  change_mm: number | null;
  change_pct: number | null;
  lesion: LesionOut | null;
  notes: (string)[];
  role: "prior" | "current" | null;
  score: number;
  similarity: number | null;
  state: "persistent" | "new" | "vanished" | "not marked" | "merged" | "split" | "uncertain";
  study_id: string;
  terms: MatchTermsOut | null;
}

interface ForecastOut {
  caveats: (string)[];
  components: (ComponentOut)[];
  course: (CoursePointOut)[];
  doubling_time: DoublingTimeOut | null;
  fan: (OutlookOut)[];
  horizon: HorizonOut;
  left_out: (string)[];
  lesion: LesionOut;
  measure: SizeMeasure;
  neighbours: NeighboursOut;
  notice: string;
  outlook: OutlookOut | null;
  population: PopulationOut | null;
  reason: string | null;
  state: ForecastState;
  warnings: (string)[];
}

type ForecastState = "forecast" | "abstained";

type Grid = "file" | "display";

interface GrowthOut {
  change_mm: number | null;
  change_pct: number | null;
  growth_mm_per_month: number | null;
  points: (PointOut)[];
  track_id: string;
  volume_doubling_days: number | null;
}

interface Health {
  status: "ok";
}

interface HitOut {
  lesion: LesionOut;
  rank: number;
  similarity: number;
  terms: HitTermsOut;
}

interface HitTermsOut {
  location_distance: number | null;
  same_type: boolean | null;
  size_ratio: number | null;
}

interface HorizonOut {
  days: number | null;
  kind: "next study" | "days";
}

interface IdentityOut {
  indexed_lesions: number;
  patient_id: string | null;
  reportable: boolean;
  series_id: string | null;
  series_name: string | null;
  source: "dicom" | "file_name";
  study_date: string | null;
  study_id: string | null;
}

interface JoinOut {
  distance: number;
  left: string;
  right: string;
}

interface KeptMaskOut {
  contours: (KeptOutlineOut)[];
  grid: "display";
  lesion_id: string;
  measured: MeasuredSizesOut | null;
}

interface KeptOutlineOut {
  offset: number;
  paths: (((any)[])[])[];
}

interface KeptSearchOut {
  box: (number)[] | null;
  boxes: number;
  is_evidence: boolean;
  key_slice_index: number | null;
  lesion_id: string;
  model: string;
  probability_there: number;
  score: number | null;
  searched_at: string | null;
  series: string;
  share: number;
  slices: (number)[] | null;
  state: "found" | "uncertain" | "not found";
  study_date: string | null;
  study_id: string;
}

interface KeptSearchesOut {
  patient_id: string;
  searches: (KeptSearchOut)[];
}

interface LesionForm {
  assume_hu?: boolean;
  box?: string | null;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  key_slice_index?: number | null;
  lesion_type?: string;
  patient_id: string;
  recist?: string | null;
  series?: string | null;
  series_id?: string | null;
  spacing?: string | null;
  study_date?: string | null;
  study_id: string;
  tags?: string;
  upload_id?: string | null;
}

interface LesionOut {
  box: (number)[];
  category: string | null;
  key_slice_index: number;
  lesion_id: string;
  lesion_type: "bone" | "abdomen" | "mediastinum" | "liver" | "lung" | "kidney" | "soft tissue" | "pelvis" | "unknown";
  location: (number)[] | null;
  location_error: (number)[] | null;
  long_mm: number | null;
  measured: MeasuredSizesOut | null;
  patient_id: string;
  series_id: string;
  short_mm: number | null;
  split: "train" | "val" | "test" | "unknown";
  study_date: string | null;
  study_id: string;
  tags: (TagOut)[];
}

interface LesionPage {
  lesions: (LesionOut)[];
  next_after: string | null;
}

interface LesionSlicesOut {
  box: (number)[];
  columns: number;
  feet_first: boolean;
  first_slice_index: number;
  key_slice_index: number;
  rows: number;
  slice_interval_mm: number;
  slices: number;
  spacing_mm_px: (number)[];
}

interface LineOut {
  earlier: string;
  later: string;
  score: number | null;
  state: "confirmed" | "matched" | "uncertain" | "merged" | "split" | null;
  tone: "sure" | "new" | "absent" | "joint" | "doubt" | "unknown";
}

interface LinesOut {
  long: (any)[];
  short: (any)[];
}

interface LinkOut {
  earlier: string;
  later: string;
  score: number;
  state: "confirmed" | "matched" | "uncertain" | "merged" | "split";
  terms: MatchTermsOut;
}

interface LongestSliceOut {
  long_mm: number;
  slice_index: number;
}

interface LungRuleOut {
  extents: number;
  high_hu: number;
  least_mm: number;
  low_hu: number;
  share: number;
  share_of_image: number;
}

interface MapOut {
  method: "umap" | "pca";
  points: (MapPoint)[];
  total: number;
}

interface MapPoint {
  category: string | null;
  lesion_id: string;
  lesion_type: "bone" | "abdomen" | "mediastinum" | "liver" | "lung" | "kidney" | "soft tissue" | "pelvis" | "unknown";
  long_mm: number | null;
  patient_id: string;
  x: number;
  y: number;
}

type MarkPolicy = "recorded" | "complete" | "incomplete";

interface MarkedSizeOut {
  long_mm: number;
  recist: LinesOut;
  short_mm: number;
  volume_mm3: RecistVolumeOut;
  who_mm2: number;
}

interface MarksIn {
  complete: boolean;
  patient_id: string;
  study_id: string;
}

interface MarksOut {
  marks: "complete" | "incomplete";
  patient_id: string;
  study_id: string;
}

interface MatchIn {
  decision: "confirm" | "reject" | "remove";
  lesion_a: string;
  lesion_b: string;
}

interface MatchOut {
  lesion_a: string;
  lesion_b: string;
  verdict: "confirmed" | "rejected" | null;
}

interface MatchTermsOut {
  contributions: Record<string, number>;
  height_mm: number | null;
  in_plane_mm: number | null;
  location_error_mm: number | null;
  location_source: "given" | "estimated" | "absent";
  log_size_ratio: number | null;
  same_type: boolean | null;
  similarity: number;
}

interface MeasureForm {
  assume_hu?: boolean;
  box?: string | null;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  in_3d?: boolean;
  key_slice_index?: number | null;
  point?: string | null;
  recist?: string | null;
  series?: string | null;
  spacing?: string | null;
  upload_id?: string | null;
}

interface MeasureOut {
  asked: "recist" | "box" | "point";
  box: (number)[];
  contours: (OutlineOut)[];
  convention: string;
  ends: (any)[];
  estimated: boolean;
  flags: (FlagOut)[];
  grid: Grid;
  in_3d: boolean;
  key_slice_index: number;
  longest_slice: LongestSliceOut;
  marked: MarkedSizeOut | null;
  measurements: Record<string, EstimateOut>;
  method: Method;
  notice: string;
  recist: LinesOut;
  slices: (any)[];
  timing_ms: Record<string, number>;
  warnings: (string)[];
}

interface MeasuredSizesOut {
  flags: (string)[];
  long_mm: MeasuredValueOut;
  mask: string | null;
  mean_hu: MeasuredValueOut;
  method: string;
  network: string;
  sd_hu: MeasuredValueOut;
  short_mm: MeasuredValueOut;
  volume_mm3: MeasuredValueOut | null;
}

interface MeasuredValueOut {
  interval_50: (number)[] | null;
  interval_90: (number)[] | null;
  value: number;
}

type Method = "network" | "ellipse";

interface MinedMarksOut {
  marks: (Record<string, any>)[];
  next_after: number | null;
  total: number;
}

interface MiningIn {
  arrows?: boolean;
  locate?: boolean;
  pixels?: boolean;
  propose?: boolean;
  segments?: (string)[];
  singles?: "reject" | "square" | "ellipse";
  source?: "folders" | "pacs";
}

interface MiningOut {
  done: number;
  ended: string | null;
  error: string | null;
  report: MiningReportOut | null;
  sheet: string | null;
  source: string;
  started: string | null;
  state: "idle" | "running" | "done" | "failed" | "cancelled";
  tiles: SheetLayoutOut | null;
  total: number;
}

interface MiningReportOut {
  lesions: number;
  marks: number;
  patients: number;
  patients_failed: number;
  patients_mined_now: number;
  tracks: number;
  verdicts: Record<string, number>;
}

interface NeighbourCaseOut {
  change_pct: number;
  course: (NeighbourPointOut)[];
  days: number | null;
  lesion_id: string;
  lesion_type: string;
  patient_id: string;
  similarity: number | null;
  weight: number;
}

interface NeighbourPointOut {
  days: number | null;
  lesion_id: string;
  ratio: number;
  size: number;
  step: number;
  study_id: string;
}

interface NeighboursOut {
  cases: (NeighbourCaseOut)[];
  count: number;
  effective: number;
}

interface OutlineOut {
  paths: (((any)[])[])[];
  slice_index: number;
}

interface OutlookOut {
  days: number | null;
  growth_pct: number;
  growth_probability: number;
  median: number;
  median_pct: number;
  ranges: (SizeRangeOut)[];
  shrinkage_pct: number;
  shrinkage_probability: number;
}

interface PacsListedStudyOut {
  accession_number: string;
  description: string;
  instances: number | null;
  modalities: (string)[];
  patient_id: string;
  study_date: string | null;
  study_instance_uid: string;
}

interface PacsOut {
  identifiers: "own" | "pseudonyms";
  studies: (PacsStudyOut)[];
}

interface PacsReferenceIn {
  assume_hu?: boolean;
  key_slice_index?: number | null;
  series_instance_uid: string;
  sop_instance_uid?: string | null;
  study_instance_uid?: string | null;
}

interface PacsReportIn {
  all_tracks?: boolean;
  assume_hu?: boolean;
  box?: (number)[] | null;
  key_slice_index?: number | null;
  point?: (number)[] | null;
  recist?: (number)[] | null;
  series_instance_uid: string;
  sop_instance_uid?: string | null;
  study_instance_uid?: string | null;
}

interface PacsReportOut {
  left_out: number;
  measurements: number;
  reports: (StoredReportOut)[];
  stored: boolean;
}

interface PacsSearchIn {
  assume_hu?: boolean;
  box?: (number)[] | null;
  k?: number;
  key_slice_index?: number | null;
  point?: (number)[] | null;
  recist?: (number)[] | null;
  series_instance_uid: string;
  sop_instance_uid?: string | null;
  study_instance_uid?: string | null;
  where?: string | null;
}

interface PacsSearchOut {
  box: (number)[] | null;
  box_source: "given" | "recist" | "detected" | null;
  candidates: (CandidateOut)[];
  encoder: EncoderOut;
  follow_ups: (FollowUpOut)[];
  grid: "file" | "display";
  hits: (HitOut)[];
  index: SearchedOut;
  location: (number)[] | null;
  location_error: (number)[] | null;
  pacs: PacsOut;
  query: LesionOut;
  recognised: RecognisedOut | null;
  timing_ms: TimingOut;
  warnings: (string)[];
}

interface PacsSeriesOut {
  description: string;
  instances: number | null;
  series_instance_uid: string;
}

interface PacsStudyListOut {
  is_cut: boolean;
  studies: (PacsListedStudyOut)[];
}

interface PacsStudyOut {
  lesions: number;
  note: string | null;
  source: "index" | "report" | "detector" | "none";
  study_date: string | null;
  study_id: string;
}

interface PatientOut {
  lesions: number;
  patient_id: string;
  studies: number;
}

interface PatientPage {
  next_after: string | null;
  patients: (PatientOut)[];
}

interface PointOut {
  lesion_id: string;
  long_mm: number | null;
  short_mm: number | null;
  study_date: string | null;
  study_id: string;
}

interface PolicyOut {
  marks: "complete" | "partly complete" | "incomplete";
  nodes: string;
  organs: string;
}

interface PopulationOut {
  fitted_on: string;
  outlook: OutlookOut;
  patients: number;
  steps: number;
}

interface Problem {
  detail: string;
  request_id?: string | null;
  status: number;
  title: string;
  type: string;
}

interface Readiness {
  lesions: number;
  status: "ready";
}

interface RecistVolumeOut {
  factor: number;
  interval_50: (number)[] | null;
  interval_90: (number)[] | null;
  log_sd: number;
  text: string;
  unit: "mm" | "mm2" | "mm3" | "HU";
  value: number;
}

interface RecognisedOut {
  iou: number;
  lesion_id: string;
}

interface ReportForm {
  assume_hu?: boolean;
  box?: string | null;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  key_slice_index?: number | null;
  lesion_type?: string;
  measured?: boolean;
  point?: string | null;
  recist?: string | null;
  series?: string | null;
  spacing?: string | null;
  upload_id?: string | null;
}

interface ResponseOut {
  baseline_study: string;
  baseline_sum_mm: number | null;
  growth: (GrowthOut)[];
  guideline: string;
  not_assessed: string;
  notice: string;
  ordered_by: "study_date" | "study_number";
  patient_id: string;
  policy: PolicyOut;
  studies: (StudyResponseOut)[];
  targets: (TargetOut)[];
  volumes: VolumeResponseOut;
}

interface RowOut {
  cells: (CellOut)[];
  lines: (LineOut)[];
  track_id: string;
}

interface SearchForm {
  assume_hu?: boolean;
  box?: string | null;
  file?: string | null;
  files?: (string)[];
  grid?: Grid;
  k?: number;
  key_slice_index?: number | null;
  lesion_id?: string | null;
  patient_id?: string | null;
  point?: string | null;
  recist?: string | null;
  series?: string | null;
  spacing?: string | null;
  study_date?: string | null;
  study_id?: string | null;
  text?: string | null;
  upload_id?: string | null;
  vector?: string | null;
  where?: string | null;
}

interface SearchOut {
  box: (number)[] | null;
  box_source: "given" | "recist" | "detected" | null;
  candidates: (CandidateOut)[];
  encoder: EncoderOut;
  follow_ups: (FollowUpOut)[];
  grid: "file" | "display";
  hits: (HitOut)[];
  index: SearchedOut;
  location: (number)[] | null;
  location_error: (number)[] | null;
  recognised: RecognisedOut | null;
  timing_ms: TimingOut;
  warnings: (string)[];
}

interface SearchedOut {
  lesions: number;
}

interface SheetLayoutOut {
  captions: (TileCaptionOut)[];
  columns: number;
  pitch_px: number;
  tile_px: number;
  top_px: number;
}

interface SimilarityScaleOut {
  lesions: number;
  levels: (number)[];
  nearest: (number)[];
  pairs: (number)[];
}

type SizeMeasure = "long_mm" | "volume_mm3";

interface SizeRangeOut {
  high: number;
  high_pct: number;
  level_pct: number;
  low: number;
  low_pct: number;
}

interface StateWordsOut {
  label: string;
  meaning: string;
  tone: "sure" | "new" | "absent" | "joint" | "doubt" | "unknown";
}

interface StoredReportOut {
  series_instance_uid: string;
  sop_instance_uid: string;
  study_instance_uid: string;
}

interface StudyOut {
  marks: "complete" | "incomplete";
  study_date: string | null;
  study_id: string;
}

interface StudyResponseOut {
  category: "CR" | "PR" | "SD" | "PD" | "NE" | null;
  change_from_baseline_pct: number | null;
  change_from_nadir_mm: number | null;
  change_from_nadir_pct: number | null;
  nadir_mm: number | null;
  new_tracks: (string)[];
  not_evaluable_tracks: (string)[];
  possibly_new_tracks: (string)[];
  reason: string;
  study_date: string | null;
  study_id: string;
  sum_mm: number | null;
}

interface StudyVolumesOut {
  change: "shrunk" | "grown" | "within the bounds" | null;
  change_from_baseline_pct: number | null;
  change_from_nadir_pct: number | null;
  not_measured_tracks: (string)[];
  study_id: string;
  sum_mm3: number | null;
}

interface TagCorrection {
  holds: boolean | null;
  term: string;
}

interface TagOut {
  probability: number;
  source: "unlikely" | "predicted" | "text" | "given" | "reader";
  term: string;
}

interface TargetOut {
  axis: "long" | "short";
  baseline_mm: number;
  organ: "bone" | "abdomen" | "mediastinum" | "liver" | "lung" | "kidney" | "soft tissue" | "pelvis" | "unknown";
  track_id: string;
}

interface TermOut {
  kind: string;
  name: string;
  synonyms: (string)[];
}

interface TileCaptionOut {
  verdict: string;
  words: string;
}

interface TimelineOut {
  joins: (LineOut)[];
  rows: (RowOut)[];
}

interface TimingOut {
  detect: number;
  encode: number;
  patch: number;
  read: number;
  search: number;
  total: number;
}

interface ToneOut {
  colour: string;
}

interface TrackOut {
  lesions: (LesionOut)[];
  merged_into: string | null;
  new_in: string | null;
  split_from: string | null;
  track_id: string;
  vanished_in: string | null;
}

interface TrackVolumesOut {
  points: (VolumePointOut)[];
  track_id: string;
}

interface TracksOut {
  links: (LinkOut)[];
  notice: string;
  ordered_by: "study_date" | "study_number";
  patient_id: string;
  response: ResponseOut;
  studies: (StudyOut)[];
  timeline: TimelineOut;
  tracks: (TrackOut)[];
  warnings: (string)[];
}

interface TypeOut {
  colour: string;
  window: string;
}

interface UnknownWordOut {
  nearest: (string)[];
  word: string;
}

interface UploadOut {
  columns: number;
  expires_in_s: number;
  feet_first: boolean;
  first_slice_index: number;
  grid: "file" | "display";
  identity: IdentityOut | null;
  key_slice_index: number;
  rows: number;
  slice_interval_mm: number;
  slices: number;
  spacing_mm_px: (number)[];
  upload_id: string;
  warnings: (string)[];
}

interface VocabularyOut {
  follow_up_states: Record<string, StateWordsOut>;
  lesion_types: Record<string, TypeOut>;
  link_states: Record<string, StateWordsOut>;
  lung_window_where: LungRuleOut;
  position_estimated: string;
  response_categories: Record<string, CategoryOut>;
  roles: Record<string, string>;
  splits: (string)[];
  tag_sources: Record<string, string>;
  terms: (TermOut)[];
  tones: Record<string, ToneOut>;
  usual_window: string;
  windows: Record<string, WindowOut>;
  word_roles: (string)[];
}

interface VolumePointOut {
  change_pct: number | null;
  interval_90: (number)[] | null;
  lesion_ids: (string)[];
  study_date: string | null;
  study_id: string;
  volume_mm3: number | null;
}

interface VolumeResponseOut {
  baseline_sum_mm3: number | null;
  basis: string;
  studies: (StudyVolumesOut)[];
  tracks: (TrackVolumesOut)[];
}

interface WindowOut {
  high_hu: number;
  low_hu: number;
}

interface WordHitOut {
  lesion: LesionOut;
  match: number;
  rank: number;
  similarity: number;
  terms: HitTermsOut;
  words: (WordReasonOut)[];
}

interface WordReasonOut {
  probability: number;
  role: "must" | "should" | "not" | "filter";
  source: "given" | "text" | "reader" | "predicted" | "position" | "type" | "likeness" | "parent" | "nothing";
  term: string;
  words: string;
}

interface WordSearchOut {
  box: (number)[] | null;
  box_source: "given" | "recist" | "detected" | null;
  candidates: (CandidateOut)[];
  encoder: EncoderOut;
  follow_ups: (FollowUpOut)[];
  grid: "file" | "display";
  hits: (WordHitOut)[];
  index: SearchedOut;
  location: (number)[] | null;
  location_error: (number)[] | null;
  recognised: RecognisedOut | null;
  timing_ms: TimingOut;
  warnings: (string)[];
  words: WordsOut;
}

interface WordsOut {
  chips: (ChipOut)[];
  text: string;
  unknown: (UnknownWordOut)[];
}
