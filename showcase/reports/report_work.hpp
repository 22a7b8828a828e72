// The background work of reports: the seed's simulated steps, and the figures of a CSV file.
#pragma once

#include "reports/report_store.hpp"
#include <carillon/jobs/registry.hpp>

namespace showcase::reports {

inline constexpr auto csv_task = "reports.profile_csv";
inline constexpr auto demo_task = "reports.generate_report";

// `store` outlives the registry.
void register_work(carillon::job_registry& registry, report_store& store);

} // namespace showcase::reports
