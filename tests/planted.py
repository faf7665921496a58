"""Faults to plant: a line that is made wrong, and the test that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A line that is made wrong, and the test that must notice."""

    file: str
    right: str
    wrong: str
    caught_by: str


FAULTS = {
    "ladj of the wrong sign": Fault(
        "flows/transforms/elementwise.py",
        "return x * log_scale.exp() + shift, log_scale",
        "return x * log_scale.exp() + shift, -log_scale",
        "tests/test_zoo.py::test_ladj_is_autodiffs_both_ways",
    ),
    "ladj of a layer dropped": Fault(
        "flows/core.py",
        "total = total + ladj",
        "total = ladj",
        "tests/test_zoo.py::test_density_integrates_to_one",
    ),
    "standardisation's ladj dropped": Fault(
        "flows/transforms/standardize.py",
        "(self.cells * self.std.log()).sum()",
        "(0 * self.std.log()).sum()",
        "tests/test_zoo.py::test_likelihood_is_in_the_units_of_the_data",
    ),
    "mask swapped in one direction": Fault(
        "flows/transforms/partition.py",
        "(second, first) if self.swapped else (first, second), dim=self.axis",
        "(first, second) if self.swapped else (second, first), dim=self.axis",
        "tests/test_zoo.py::test_inverse_both_ways",
    ),
    "masks that don't alternate": Fault(
        "flows/models/realnvp.py",
        "start=layer % 2 == 0",
        "start=True",
        "tests/models/test_realnvp.py::test_every_feature_is_transformed",
    ),
    "base of the wrong variance": Fault(
        "flows/bases.py",
        "return x.square().sum(event) * -0.5 - constant",
        "return x.square().sum(event) * -0.4 - constant",
        "tests/test_zoo.py::test_samples_follow_the_density",
    ),
    "average not used": Fault(
        "flows/training/player.py",
        "        weights.copy_(self.average)\n",
        "",
        "tests/training/test_player.py::test_the_average_follows_the_weights_and_is_what_averaged_shows",
    ),
    "average not validated": Fault(
        "flows/training/validation.py",
        'with run.players["model"].averaged():',
        "if True:",
        "tests/training/test_trainer.py::test_the_average_is_what_is_validated",
    ),
    "gradient not clipped": Fault(
        "flows/training/guard.py",
        "(longest / norm).clamp(max=1.0)",
        "norm / norm",
        "tests/training/test_player.py::test_clipping_bounds_the_step",
    ),
    "bad step not suppressed": Fault(
        "flows/training/player.py",
        "weights.copy_(torch.where(good, weights, before))",
        "pass",
        "tests/training/test_player.py::test_a_bad_step_never_reaches_the_weights",
    ),
    "validation leaks into training": Fault(
        "data/toy.py",
        "place = [*self._sizes].index(part)",
        "place = 0",
        "tests/data/test_toys.py::test_parts_share_no_point",
    ),
    "KL against the wrong truth": Fault(
        "data/toys.py",
        "truth = Mixture([ribbon(curve, (0, math.pi), noise) for curve in (upper, lower)])",
        "truth = Mixture([ribbon(curve, (0, math.pi), 1.1 * noise) for curve in (upper, lower)])",
        "tests/data/test_truths.py::test_entropy_of_two_moons",
    ),
    "order of batches not restored": Fault(
        "flows/training/stream.py",
        'self.generator.set_state(state["generator"])',
        "pass",
        "tests/training/test_stream.py::test_restored_anywhere_it_gives_the_same_batches",
    ),
    "optimizer not restored": Fault(
        "flows/training/player.py",
        'slots = within(tensors, "optimizer.")',
        "slots = {}",
        "tests/training/test_player.py::test_restored_it_goes_the_same_way",
    ),
    "checksum not checked": Fault(
        "flows/training/checkpoint.py",
        "if _digest(data) != digests[name]:",
        "if False:",
        "tests/training/test_checkpoint.py::test_damage_is_found_and_the_one_before_taken",
    ),
    "mass beyond the ends forgotten": Fault(
        "flows/heads.py",
        "return 1 - self.below - self.above",
        "return torch.ones_like(self.below)",
        "tests/test_heads.py::test_each_is_a_density",
    ),
    "slope of a distribution function of the wrong sign": Fault(
        "flows/transforms/cumulative.py",
        "mixture.log_prob(x) + 0.5 * z.square()",
        "mixture.log_prob(x) - 0.5 * z.square()",
        "tests/transforms/test_cumulative.py::test_slopes_are_autodiffs",
    ),
    "order taken for ranks": Fault(
        "flows/models/mixture_autoregressive.py",
        "MADE(turn.argsort(),",
        "MADE(turn,",
        "tests/models/test_mixture_autoregressive.py::test_features_depend_on_those_before_them_in_the_order",
    ),
    "a feature sees itself in a masked net": Fault(
        "flows/nets/made.py",
        "hidden.unsqueeze(-1) > inputs",
        "hidden.unsqueeze(-1) >= inputs",
        "tests/test_zoo.py::test_ladj_is_autodiffs_both_ways",
    ),
    "a feature sees itself in a transformer": Fault(
        "flows/models/masked_transformer.py",
        "(given & ~itself)",
        "(given | itself)",
        "tests/models/test_masked_transformer.py::test_each_conditional_integrates_to_one",
    ),
    "hidden features seen": Fault(
        "flows/nets/attention.py",
        "found = F.scaled_dot_product_attention(asked, keys, values, mask)",
        "found = F.scaled_dot_product_attention(asked, keys, values)",
        "tests/models/test_masked_transformer.py::test_a_conditional_depends_on_what_is_observed_alone",
    ),
    "mean of log-densities for a mixture": Fault(
        "flows/core.py",
        "torch.logsumexp(torch.stack(each), 0) - math.log(len(each))",
        "torch.stack(each).mean(0)",
        "tests/models/test_masked_transformer.py"
        "::test_the_density_is_the_mixture_of_its_orders_and_not_their_geometric_mean",
    ),
    "always one order drawn": Fault(
        "flows/models/masked_transformer.py",
        "torch.randint(len(self.orders), (len(flat),)",
        "torch.randint(1, (len(flat),)",
        "tests/models/test_masked_transformer.py::test_draws_of_the_mixture_come_from_all_orders",
    ),
    "lattice not spread in training": Fault(
        "flows/training/run.py",
        "batch = self.spread(next(self.stream), self.generator)",
        "batch = next(self.stream)",
        "tests/training/test_lattice_runs.py::test_each_epoch_spreads_the_same_points_anew",
    ),
    "draws rounded and not floored": Fault(
        "flows/lattice.py",
        "torch.floor((column.double() - origin + slack) / step)",
        "torch.round((column.double() - origin + slack) / step)",
        "tests/test_lattice.py::test_what_is_spread_comes_back",
    ),
    "dropout's generator not restored": Fault(
        "flows/training/run.py",
        '_process_generator(self.generator.device).set_state(own["dropout"])',
        "pass",
        "tests/training/test_lattice_runs.py::test_a_run_carried_on_ends_with_the_same_bits",
    ),
    "colours of the law off by half a level": Fault(
        "data/glyph.py",
        "_log_level(level.double(), self._means(pixel), self.noise)",
        "_log_level(level.double() + 0.5, self._means(pixel), self.noise)",
        "tests/data/test_glyph.py::test_draws_follow_the_density",
    ),
    "copies not noticed": Fault(
        "flows/evaluation/copying.py",
        "if share - usual > SURE * spread:",
        "if share - usual > 1:",
        "tests/evaluation/test_copying.py::test_a_copier_is_flagged",
    ),
    "one draw for the mean over draws": Fault(
        "flows/evaluation/judge.py",
        "duel.drawn[: statistic.draws]",
        "duel.drawn[:1]",
        "tests/evaluation/test_judge.py::test_scores_are_means_over_draws_and_floors_over_redraws",
    ),
    "mixing counted in cells that aren't mixed": Fault(
        "flows/transforms/mixing.py",
        "sign * self.cells *",
        "sign * self.whole.numel() *",
        "tests/transforms/test_fields.py::test_ladj_is_autodiffs_both_ways",
    ),
    "absent cells coupled": Fault(
        "flows/models/conditional_flow.py",
        "if bool(there.all()):",
        "if True:",
        "tests/models/test_conditional_flow.py::test_inverse_both_ways",
    ),
    "the coarser level's ladj dropped": Fault(
        "flows/transforms/level.py",
        "torch.cat((coarse, rest), -3), total + ladj",
        "torch.cat((coarse, rest), -3), total",
        "tests/test_zoo.py::test_ladj_is_autodiffs_both_ways",
    ),
    "blocks put together by columns": Fault(
        "flows/transforms/squeeze.py",
        "movedim((-5, -4), (-3, -1))",
        "movedim((-4, -5), (-3, -1))",
        "tests/transforms/test_fields.py::test_squeezing_only_moves_cells",
    ),
    "a unit for each cell": Fault(
        "flows/transforms/standardize.py",
        "over = (0, *range(-shared, 0))",
        "over = (0,)",
        "tests/transforms/test_fields.py::test_one_unit_for_each_channel",
    ),
    "half of the channels never moved": Fault(
        "flows/models/conditional_flow.py",
        "kept = first if layer % 2 == 0 else ~first",
        "kept = first",
        "tests/models/test_conditional_flow.py::test_both_halves_are_moved_by_turns",
    ),
    "critic taught that draws are data": Fault(
        "flows/objectives/wgan_gp.py",
        "loss = self.penalty * penalty - wasserstein",
        "loss = self.penalty * penalty + wasserstein",
        "tests/objectives/test_wgan_gp.py::test_the_critics_loss_of_a_critic_of_known_slope",
    ),
    "flow driven away from data": Fault(
        "flows/objectives/wgan_gp.py",
        "adversarial = -functional_call(critic, held, (fake, batch.context)).mean()",
        "adversarial = functional_call(critic, held, (fake, batch.context)).mean()",
        "tests/objectives/test_wgan_gp.py::test_the_critic_alone_teaches_the_flow_where_data_lies",
    ),
    "penalty of the batch's slope": Fault(
        "flows/objectives/wgan_gp.py",
        "(torch.linalg.vector_norm(slopes.flatten(1), dim=1) - 1).square().mean()",
        "(torch.linalg.vector_norm(slopes) - 1).square()",
        "tests/objectives/test_wgan_gp.py::test_the_penalty_is_that_of_each_examples_own_slope",
    ),
    "batch norm in the critic": Fault(
        "flows/nets/critic.py",
        "yield nn.GroupNorm(1, 2 * width)",
        "yield nn.BatchNorm2d(2 * width)",
        "tests/objectives/test_wgan_gp.py::test_an_examples_score_density_and_draw_are_its_own",
    ),
    "critic in the units of the data": Fault(
        "flows/objectives/wgan_gp.py",
        "return self.units(x)[0], context",
        "return x, context",
        "tests/objectives/test_wgan_gp.py::test_units_of_the_data_dont_matter",
    ),
    "a context encoded for each draw": Fault(
        "flows/core.py",
        "z = self.base.sample(n, context, generator)\n",
        "z = self.base.sample(n, context, generator)\n        context = context.expand(n, *context.shape)\n",
        "tests/models/test_conditional_flow.py::test_what_sees_the_context_alone_sees_it_once",
    ),
    "a slope counted once for several x": Fault(
        "flows/transforms/given.py",
        "return z, log_slope.expand_as(z).sum(self.event)",
        "return z, log_slope.sum(self.event)",
        "tests/transforms/test_fields.py::test_one_context_serves_all_that_lead",
    ),
    "model and law exchanged": Fault(
        "flows/evaluation/plots/crps.py",
        "model - law",
        "law - model",
        "tests/evaluation/test_plots.py::test_the_map_of_crps_shows_where_the_model_is_worse",
    ),
    "members not asked for": Fault(
        "flows/evaluation/measure.py",
        "pool, generator, n_members)",
        "pool, generator, MEMBERS)",
        "tests/evaluation/test_tasks.py::test_as_many_members_as_asked_for_are_drawn_for_each_field",
    ),
    "a density of cells that aren't there": Fault(
        "flows/bases.py",
        "int(present.sum())",
        "math.prod(shape)",
        "tests/models/test_conditional_flow.py::test_the_density_is_of_the_cells_that_are_there",
    ),
    "absent cells scored": Fault(
        "flows/evaluation/holes.py",
        "return fields if mask is None else fields[..., mask]",
        "return fields",
        "tests/evaluation/test_members.py::test_fields_without_some_cells_are_learned_judged_and_drawn",
    ),
    "parts that share a field": Fault(
        "data/netcdf.py",
        "max(gap, lag)",
        "gap",
        "tests/data/test_netcdf.py::test_a_lagged_context_is_that_of_the_steps_before",
    ),
    "the forecast's context not before it": Fault(
        "data/steps.py",
        "context = self._fields(self.context, start, stop)",
        "context = self._fields(self.context, start + self.lag, stop + self.lag)",
        "tests/data/test_netcdf.py::test_a_lagged_context_is_that_of_the_steps_before",
    ),
    "missing cells counted as zeros in a mean": Fault(
        "data/cases.py",
        "(total / count)",
        "(total)",
        "tests/data/test_netcdf.py::test_means_are_of_the_cells_that_are_there",
    ),
    "members under other cases' contexts": Fault(
        "flows/evaluation/tasks/sample.py",
        "source.take(places).context",
        "source.take(places.flip(0)).context",
        "tests/evaluation/test_members.py::test_members_are_draws_under_each_cases_own_context",
    ),
    "a run given another's gradient": Fault(
        "flows/sweeps/together.py",
        "zip(*(values.unbind() for values in slopes), strict=True)",
        "zip(*(values.roll(1, 0).unbind() for values in slopes), strict=True)",
        "tests/sweeps/test_together.py::test_each_member_has_an_objective_of_its_own",
    ),
    "one objective for all runs": Fault(
        "flows/sweeps/together.py",
        "if any(other != value for other in values):",
        "if False:",
        "tests/sweeps/test_together.py::test_each_member_has_an_objective_of_its_own",
    ),
    "one batch for all runs": Fault(
        "flows/sweeps/together.py",
        "drawn.get(row, drawn[first])",
        "drawn[first]",
        "tests/sweeps/test_together.py::test_and_stays_so",
    ),
    "a mixture's draws sorted by member": Fault(
        "flows/evaluation/mixture.py",
        "[kind.argsort(stable=True).argsort()]",
        "",
        "tests/evaluation/test_mixture.py::test_draws_follow_it",
    ),
    "a bug ends a sweep": Fault(
        "flows/cli.py",
        "return fail(job.folder, reason, None if told_to_users else error)",
        "raise error",
        "tests/sweeps/test_failures.py::test_the_others_go_on_and_the_status_is_1",
    ),
    "an old failure is kept": Fault(
        "flows/sweeps/job.py",
        "(folder / ERROR).unlink(missing_ok=True)",
        "pass",
        "tests/sweeps/test_failures.py::test_a_job_that_is_mended_has_failed_no_more",
    ),
    "a dead process ends a sweep": Fault(
        "flows/sweeps/processes.py",
        "except BrokenProcessPool:",
        "except ZeroDivisionError:",
        "tests/sweeps/test_launchers.py::test_a_job_that_fails_or_dies_fails_alone",
    ),
    "Ctrl-C isn't passed on": Fault(
        "flows/sweeps/processes.py",
        "        self._send(signal.SIGINT)\n",
        "",
        "tests/sweeps/test_launchers.py::test_an_interrupt_ends_all_processes",
    ),
    "a launcher's options unchecked": Fault(
        "flows/sweeps/told.py",
        "check_keys(self.options, self.schema())",
        "pass",
        "tests/sweeps/test_launchers.py::test_a_wrong_option_is_one_line_and_runs_nothing",
    ),
    "failed runs in the means": Fault(
        "flows/sweeps/record.py",
        "return not self.error and self.status in DONE",
        "return self.score is not None",
        "tests/sweeps/test_summary.py::test_settings_are_means_over_seeds_best_first",
    ),
    "a sweep's page unescaped": Fault(
        "flows/evaluation/report.py",
        "autoescape=True",
        "autoescape=False",
        "tests/sweeps/test_summary.py::test_what_files_say_is_escaped",
    ),
    "a link out of a run followed": Fault(
        "flows/training/saved.py",
        "check_inside(self.path)",
        "pass",
        "tests/reliability/test_hostile.py::test_rows_13_to_16_no_attempt_succeeds_and_each_was_live",
    ),
    "training through a link": Fault(
        "flows/training/folder.py",
        "check_inside(self.path)",
        "pass",
        "tests/reliability/test_hostile.py::test_row_16_training_writes_and_deletes_nothing_through_a_link",
    ),
    "any name imported": Fault(
        "flows/targets.py",
        "not _NAME.fullmatch(name) or not _within(name, rooms)",
        "not _NAME.fullmatch(name)",
        "tests/reliability/test_hostile.py::test_rows_13_to_16_no_attempt_succeeds_and_each_was_live",
    ),
    "aliases unfolded": Fault(
        "flows/training/written.py",
        "if self.check_event(yaml.AliasEvent):",
        "if False:",
        "tests/reliability/test_hostile.py::test_row_16_a_small_file_that_unfolds_is_refused",
    ),
    "a model of any size built": Fault(
        "flows/training/saved.py",
        "Ration(self._ration(weights))",
        "Ration(2**60)",
        "tests/reliability/test_hostile.py::test_row_14_a_model_larger_than_its_weights_is_refused_before_it_is_made",
    ),
    "what was let go of counted too": Fault(
        "flows/training/ration.py",
        "self.left = self.most - sum(map(_bytes, self.made))",
        "pass",
        "tests/training/test_ration.py::test_what_was_trained_can_be_loaded",
    ),
    "a checkpoint that can't be read taken for a damaged one": Fault(
        "flows/training/checkpoint.py",
        "raise _unreadable(path, error) from error\n\n\ndef find",
        "raise Damaged(str(error)) from error\n\n\ndef find",
        "tests/training/test_session.py::test_a_checkpoint_that_can_not_be_read_stops_the_command_and_stays",
    ),
    "an adversary drawn after other members' models": Fault(
        "flows/training/trainer.py",
        'torch.manual_seed(seed_of("players", seed))',
        "pass",
        "tests/sweeps/test_batched.py::test_an_adversary_too_is_the_one_that_it_would_be_alone",
    ),
    "one stream for all that is drawn": Fault(
        "flows/training/seeds.py",
        "spawn_key=(key,)",
        "spawn_key=()",
        "tests/training/test_seeds.py::test_no_two_streams_of_neighbouring_runs_are_the_same",
    ),
    "compiling left out of a budget in seconds": Fault(
        "flows/training/session.py",
        "self.run.compile()  # so that the rehearsal",
        "pass  # so that the rehearsal",
        "tests/training/test_compiling.py::test_a_budget_in_seconds_holds_the_compiling",
    ),
    "a spec believed": Fault(
        "flows/training/saved.py",
        "check_spec(self.spec)",
        "pass",
        "tests/reliability/test_hostile.py::test_row_14_examples_that_contradict_themselves_are_refused",
    ),
    "a manifest believed": Fault(
        "flows/training/checkpoint.py",
        "if written != _manifest(step_of(path), digests):",
        "if False:",
        "tests/reliability/test_damaged.py::test_row_09_two_hundred_flipped_bits_are_all_found",
    ),
    "a terminal steered": Fault(
        "flows/refusals.py",
        "sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text",
        "sign for sign in text",
        "tests/reliability/test_bad_tables.py::test_row_19_a_columns_name_writes_no_line_of_its_own",
    ),
    "integers that floats can't count": Fault(
        "data/column.py",
        "FARTHEST = 2**15",
        "FARTHEST = 2**40",
        "tests/reliability/test_bad_tables.py::test_row_20_integers_that_floats_cant_count_are_refused_with_row_and_number",
    ),
    "log-determinants in half precision": Fault(
        "flows/transforms/coupling.py",
        "self.elementwise.forward(moved, self.net(kept, context).to(x.dtype))",
        "self.elementwise.forward(moved, self.net(kept, context))",
        "tests/reliability/test_far_numbers.py::test_row_30_nets_of_half_precision_leave_log_det_and_base_in_single",
    ),
}
