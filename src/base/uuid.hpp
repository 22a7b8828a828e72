// Random identifiers: UUID version 4 (RFC 9562), as Celery gives them to its tasks.
#pragma once

#include <string>

namespace carillon {

// 36 characters, such as "82e8a8a7-6f9a-4cae-a187-818399f82f59", from the kernel's random numbers.
std::string make_uuid();

} // namespace carillon
