/// \file
/// Flows made of flows.
#pragma once

#include "coflow/layer/any_flow.hpp"
#include "coflow/layer/buffered_reader.hpp"
#include "coflow/layer/buffered_writer.hpp"
#include "coflow/layer/codec.hpp"
#include "coflow/layer/codec_block.hpp"
#include "coflow/layer/codec_flow.hpp"
#include "coflow/layer/codec_options.hpp"
#include "coflow/layer/codec_wire.hpp"
<<<<<<< HEAD
#include "coflow/layer/copy.hpp"
#include "coflow/layer/counted.hpp"
=======
#include "coflow/layer/flow_ref.hpp"
>>>>>>> buffered
#include "coflow/layer/graceful_close.hpp"
#include "coflow/layer/idle_timeout.hpp"
#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/length_prefix_codec.hpp"
#include "coflow/layer/limited.hpp"
#include "coflow/layer/observed.hpp"
#include "coflow/layer/proxy.hpp"
#include "coflow/layer/proxy_options.hpp"
#include "coflow/layer/read_deadline.hpp"
#include "coflow/layer/reset.hpp"
#include "coflow/layer/tee.hpp"
#include "coflow/layer/throttled.hpp"
#include "coflow/layer/traced.hpp"
