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
#include "coflow/layer/flow_ref.hpp"
#include "coflow/layer/graceful_close.hpp"
#include "coflow/layer/layered_flow.hpp"
#include "coflow/layer/length_prefix_codec.hpp"
#include "coflow/layer/observed.hpp"
