#include "apps/study_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include "apps/run_folder.h"
#include "apps/toml_file.h"
#include "core/check.h"
#include "models/files.h"

namespace galvan {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFormat = 1;

// Times are seconds since 1970. A trial of session 0 is nobody's.
constexpr const char* kTables = R"(
  CREATE TABLE study(directory TEXT NOT NULL);
  CREATE TABLE sessions(id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, began REAL NOT NULL, beat REAL NOT NULL);
  CREATE TABLE trials(
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,             -- running, finished, pruned, diverged, failed
    session INTEGER NOT NULL,
    value REAL,                      -- of the metric
    steps INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    rungs INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '');
  CREATE TABLE parameters(
    trial INTEGER NOT NULL REFERENCES trials, name TEXT NOT NULL,
    value TEXT NOT NULL,             -- as TOML has it
    PRIMARY KEY (trial, name));
  CREATE TABLE reports(
    trial INTEGER NOT NULL REFERENCES trials, step INTEGER NOT NULL,
    loss REAL, accuracy REAL,        -- NULL: NaN
    seconds REAL NOT NULL,
    PRIMARY KEY (trial, step));
)";

// Unless it is there already.
void insert_report(Database& db, int64_t number, const StudyReport& report) {
  Statement(db, "INSERT INTO reports VALUES (?, ?, ?, ?, ?) ON CONFLICT(trial, step) DO NOTHING")
      .bind(1, number)
      .bind(2, report.step)
      .bind(3, report.loss)
      .bind(4, report.accuracy)
      .bind(5, report.seconds)
      .run();
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The lock on byte `session` of the file: an open file description's, which the kernel drops with its last holder.
struct flock byte_lock(int64_t session, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = session;
  lock.l_len = 1;
  return lock;
}

TrialState state_of(const std::string& text) {
  for (const TrialState state : {TrialState::running, TrialState::finished, TrialState::pruned,
                                 TrialState::diverged, TrialState::failed})
    if (text == name(state)) return state;
  fail("study.db: there is no trial state '", text, "'");
}

ParameterValue read_value(const std::string& toml) {
  return *parse_toml("value = " + toml, "study.db").table()->front().node.plain();
}

fs::path database(const fs::path& folder) { return folder / "study.db"; }

}  // namespace

bool is_better(double a, double b, StudyMetric metric) {
  return metric == StudyMetric::accuracy ? a > b : a < b;
}

std::optional<double> value_of_reports(const std::vector<StudyReport>& reports, const Study& study) {
  std::optional<double> best;
  for (const StudyReport& report : reports) {
    if (study.metric == StudyMetric::time_to_loss) {
      if (report.loss <= study.target) return report.seconds;
      continue;
    }
    const double value = study.metric == StudyMetric::accuracy ? report.accuracy : report.loss;
    if (!std::isnan(value) && (!best || is_better(value, *best, study.metric))) best = value;
  }
  return best;
}

Trial to_search(const StudyTrial& trial, StudyMetric metric) {
  const double sign = metric == StudyMetric::accuracy ? -1 : 1;
  Trial result{.number = trial.number,
               .point = trial.point,
               .state = trial.state,
               .value = trial.value ? sign * *trial.value : std::numeric_limits<double>::infinity(),
               .rungs = trial.rungs};
  for (const StudyReport& report : trial.reports)
    result.reports.push_back({report.step, metric == StudyMetric::accuracy ? -report.accuracy : report.loss});
  return result;
}

const StudyTrial* best_trial(const std::vector<StudyTrial>& trials, StudyMetric metric) {
  const StudyTrial* best = nullptr;
  for (const StudyTrial& trial : trials)
    if (trial.state == TrialState::finished && trial.value &&
        (best == nullptr || is_better(*trial.value, *best->value, metric)))
      best = &trial;
  return best;
}

void StudyStore::create(const fs::path& folder, const std::string& study_text) {
  std::error_code ignored;
  check(!fs::exists(folder, ignored) || fs::is_directory(folder, ignored), folder.string(),
        ": is not an empty folder, which a study needs");
  make_directories(folder);
  const RunLock lock(folder, "beginning a study");  // of two that begin one here, one comes first
  check(!fs::exists(folder / "study.toml", ignored), folder.string(),
        " holds a study already: --resume goes on with it, another --out begins anew");
  // Of a study that was killed as it began.
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with("study.db") || (file.starts_with("study.toml.") && file.ends_with(".partial")))
      fs::remove(entry.path(), ignored);
  }
  check(fs::is_empty(folder, ignored), folder.string(), ": is not an empty folder, which a study needs");
  Database db(database(folder), Database::For::making);
  Transaction change(db);
  db.run(kTables);
  Statement(db, "INSERT INTO study VALUES (?)").bind(1, fs::current_path().string()).run();
  db.run("PRAGMA user_version = " + std::to_string(kFormat));
  change.commit();
  write_file_atomically(folder / "study.toml", study_text);  // last: with it, the study is there
}

StudyStore::StudyStore(const fs::path& folder, bool reading)
    : folder_(folder), study_([&] {
        std::error_code ignored;
        check(fs::exists(folder / "study.toml", ignored), folder.string(), " holds no study");
        return parse_study(read_text_file(folder / "study.toml"), (folder / "study.toml").string());
      }()) {
  db_ = std::make_unique<Database>(database(folder),
                                   reading ? Database::For::reading : Database::For::changing);
  {  // a statement that is not at its end holds the database as it was, and a later change would be refused
    Statement version(*db_, "PRAGMA user_version");
    version.next();
    check(version.integer(0) == kFormat, database(folder).string(), ": format version ", version.integer(0),
          ", this program knows ", kFormat);
    Statement origin(*db_, "SELECT directory FROM study");
    check(origin.next(), database(folder).string(), ": does not say where the study was begun");
    directory_ = origin.text(0);
  }
  const fs::path path = folder / "study.lock";
  lock_ = ::open(path.c_str(), (reading ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC, 0666);
  if (reading) return;
  check(lock_ >= 0, "cannot open ", path.string(), ": ", std::strerror(errno));
  Transaction change(*db_);
  Statement(*db_, "INSERT INTO sessions(pid, began, beat) VALUES (?, ?, ?)")
      .bind(1, static_cast<int64_t>(::getpid()))
      .bind(2, unix_seconds())
      .bind(3, unix_seconds())
      .run();
  Statement id(*db_, "SELECT last_insert_rowid()");
  id.next();
  session_ = id.integer(0);
  struct flock lock = byte_lock(session_, F_WRLCK);
  const bool locked = ::fcntl(lock_, F_OFD_SETLK, &lock) == 0;
  check(locked, "cannot lock ", path.string(), ": ", std::strerror(errno));
  change.commit();
}

StudyStore::~StudyStore() {
  if (lock_ >= 0) ::close(lock_);
}

fs::path StudyStore::run_folder(int64_t number) const { return folder_ / "trials" / std::to_string(number); }

bool StudyStore::is_alive(int64_t session) const {
  if (session == 0 || lock_ < 0) return false;
  if (session == session_) return true;
  struct flock lock = byte_lock(session, F_RDLCK);
  return ::fcntl(lock_, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::vector<StudyTrial> StudyStore::trials() {
  std::vector<StudyTrial> trials;
  for (Statement row(
           *db_,
           "SELECT number, state, session, value, steps, seconds, rungs, reason FROM trials ORDER BY number");
       row.next();) {
    StudyTrial trial{.number = row.integer(0),
                     .state = state_of(row.text(1)),
                     .steps = row.integer(4),
                     .seconds = row.real(5),
                     .rungs = row.integer(6),
                     .reason = row.text(7)};
    if (!row.is_null(3)) trial.value = row.real(3);
    trial.worked_on = trial.state == TrialState::running && is_alive(row.integer(2));
    check(trial.number == static_cast<int64_t>(trials.size()), "study.db: there is no trial ", trials.size());
    trials.push_back(std::move(trial));
  }
  // A trial that another process adds meanwhile is left for the next time.
  const auto known = [&](int64_t number) { return number < static_cast<int64_t>(trials.size()); };
  for (Statement row(*db_, "SELECT trial, name, value FROM parameters"); row.next();)
    if (known(row.integer(0)))
      trials[static_cast<size_t>(row.integer(0))].point[row.text(1)] = read_value(row.text(2));
  for (Statement row(*db_, "SELECT trial, step, loss, accuracy, seconds FROM reports ORDER BY trial, step");
       row.next();)
    if (known(row.integer(0)))
      trials[static_cast<size_t>(row.integer(0))].reports.push_back(
          {row.integer(1), row.real(2), row.real(3), row.real(4)});
  return trials;
}

double StudyStore::minutes() {
  double seconds = 0, until = 0;
  for (Statement row(*db_, "SELECT began, beat FROM sessions ORDER BY began"); row.next();) {
    const double begin = std::max(row.real(0), until);
    seconds += std::max(0.0, row.real(1) - begin);
    until = std::max(until, row.real(1));
  }
  return seconds / 60;
}

void StudyStore::beat() {
  Statement(*db_, "UPDATE sessions SET beat = ? WHERE id = ?")
      .bind(1, unix_seconds())
      .bind(2, session_)
      .run();
}

bool StudyStore::budget_left(const std::vector<StudyTrial>& trials) {
  if (study_.trials && static_cast<int64_t>(trials.size()) >= *study_.trials) return false;
  if (study_.minutes && minutes() >= *study_.minutes) return false;
  if (!study_.steps) return true;
  int64_t steps = 0;
  for (const StudyTrial& trial : trials)
    steps += trial.state == TrialState::running ? study_.steps_of(trial.point) : trial.steps;
  return steps < *study_.steps;
}

// What fails before its first step takes nothing from a budget of steps or minutes, and so might go on for ever.
void StudyStore::check_any_begins(const std::vector<StudyTrial>& trials) const {
  constexpr int kMost = 10;
  if (study_.trials || study_.sampler.kind == SamplerKind::grid) return;
  int failed = 0;
  for (auto trial = trials.rbegin(); trial != trials.rend(); ++trial) {
    if (trial->state == TrialState::running) continue;
    if (trial->state != TrialState::failed || trial->steps > 0) return;
    if (++failed == kMost)
      fail("the last ", kMost, " trials failed before their first step: ", trial->reason);
  }
}

std::optional<StudyTrial> StudyStore::claim(const Sampler& sampler) {
  Transaction change(*db_);
  const std::vector<StudyTrial> all = trials();
  for (const StudyTrial& trial : all) {
    if (trial.state != TrialState::running || trial.worked_on) continue;
    Statement(*db_, "UPDATE trials SET session = ? WHERE number = ?")
        .bind(1, session_)
        .bind(2, trial.number)
        .run();
    change.commit();
    return trial;
  }
  if (!budget_left(all)) return {};
  check_any_begins(all);
  std::vector<Trial> seen;
  for (const StudyTrial& trial : all) seen.push_back(to_search(trial, study_.metric));
  StudyTrial trial{.number = static_cast<int64_t>(all.size()), .worked_on = true};
  const std::optional<Point> point = sampler.suggest(trial.number, seen);
  if (!point) return {};
  trial.point = *point;
  Statement(*db_, "INSERT INTO trials(number, state, session) VALUES (?, 'running', ?)")
      .bind(1, trial.number)
      .bind(2, session_)
      .run();
  for (const auto& [name, value] : trial.point)
    Statement(*db_, "INSERT INTO parameters VALUES (?, ?, ?)")
        .bind(1, trial.number)
        .bind(2, name)
        .bind(3, toml_text(value))
        .run();
  change.commit();
  return trial;
}

bool StudyStore::report(int64_t number, const StudyReport& report, const Pruner* pruner) {
  Transaction change(*db_);
  insert_report(*db_, number, report);
  Statement changes(*db_, "SELECT changes()");
  changes.next();
  const bool is_new = changes.integer(0) > 0;
  Verdict verdict;
  if (is_new && pruner != nullptr) {
    std::vector<StudyTrial> all = trials();
    const StudyTrial mine = all[static_cast<size_t>(number)];
    all.erase(all.begin() + number);
    std::vector<Trial> others;
    for (const StudyTrial& other : all) others.push_back(to_search(other, study_.metric));
    verdict = pruner->judge(to_search(mine, study_.metric), others);
    Statement(*db_, "UPDATE trials SET rungs = ? WHERE number = ?")
        .bind(1, verdict.rungs)
        .bind(2, number)
        .run();
    if (verdict.prune)
      Statement(*db_,
                "UPDATE trials SET state = 'pruned', session = 0, value = ?, steps = ?, seconds = ? WHERE "
                "number = ?")
          .bind(1, value_of_reports(mine.reports, study_))
          .bind(2, report.step)
          .bind(3, report.seconds)
          .bind(4, number)
          .run();
  }
  change.commit();
  return verdict.prune;
}

void StudyStore::finish(const StudyTrial& trial) {
  Transaction change(*db_);
  for (const StudyReport& report : trial.reports) insert_report(*db_, trial.number, report);
  Statement(*db_,
            "UPDATE trials SET state = ?, session = 0, value = ?, steps = ?, seconds = ?, reason = ? WHERE "
            "number = ?")
      .bind(1, std::string(name(trial.state)))
      .bind(2, trial.value)
      .bind(3, trial.steps)
      .bind(4, trial.seconds)
      .bind(5, trial.reason)
      .bind(6, trial.number)
      .run();
  change.commit();
}

void StudyStore::release(int64_t number) {
  Statement(*db_, "UPDATE trials SET session = 0 WHERE number = ?").bind(1, number).run();
}

}  // namespace galvan
