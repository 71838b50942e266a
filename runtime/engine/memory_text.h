#pragma once

#include "runtime/core/memory_text.h"
