#pragma once

#include "server/rehearsal/memory_storage.h"  // IWYU pragma: export
