#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/relabel.h"
#include "common/model/labels.h"

namespace vedette::relabel {

// Relabeler applies a list of relabelling rules to a label set, in order, with Prometheus'
// semantics: expressions are RE2, anchored at both ends; $1 and ${name} put groups in; a replace
// that yields nothing deletes the target label.
//
//   VEDETTE_ASSIGN_OR_RETURN(Relabeler rules, Relabeler::Compile(job.relabel_configs));
//   LabelsBuilder labels(discovered);
//   if (!rules.Apply(labels)) continue;  // Dropped.
//
// Compiling costs one RE2 a rule; applying allocates only where a value is made. Cheap to copy,
// immutable, thread-safe.
class Relabeler {
 public:
  // What one rule left behind, for the page that shows relabelling step by step.
  struct Step {
    config::RelabelConfig rule;
    Labels labels;  // After the rule; as before it when it dropped the set.
    bool kept = true;
  };

  Relabeler() = default;  // No rules: keeps everything as it is.

  // The configs are copied.
  static Result<Relabeler> Compile(std::span<const config::RelabelConfig> configs);

  // False when a rule dropped the set; `labels` is then half done and of no use.
  bool Apply(LabelsBuilder& labels) const;

  // As Apply, telling what each rule did; ends with the rule that dropped the set.
  std::vector<Step> Trace(const Labels& labels) const;

  bool empty() const { return rules_ == nullptr || rules_->empty(); }

 private:
  struct Rule;
  static bool ApplyRule(const Rule& rule, LabelsBuilder& labels);

  std::shared_ptr<const std::vector<Rule>> rules_;
};

}  // namespace vedette::relabel
