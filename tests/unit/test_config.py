import pytest

from core.config.config import RunConfig, StageConfig, plan_stages
from core.config.text import apply_settings, load_config, parse_yaml, presets, to_yaml, validate
from core.errors import ConfigError
from core.tracing.outcome import TERM_NAMES


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"ppo": {"gamma": 2}}, r"ppo.gamma = 2 is not allowed: .*\(allowed: \[0, 1\]\)"),
        ({"seed": "x"}, r"seed = 'x' is not allowed"),
        (
            {"n_envs": 3, "ppo": {"n_steps": 10, "batch_size": 64}},
            r"ppo.n_steps \* n_envs = 30 is not a multiple of ppo.batch_size = 64; try 64",
        ),
        ({"colour": 1}, "colour: unknown setting; available settings: version, name"),
        ({"ppo": {"lr": 1}}, "ppo.lr: unknown setting; available settings: learning_rate"),
        ({"env": {"centre": {"color_precision": 4}}}, "env.centre: values are missing for layer_difference"),
        ({"reward": {"quality": 0, "size": 0, "speed": 0}}, "reward: all weights are 0"),
        ({"curriculum": {"stages": []}}, "curriculum.stages"),
        ({"curriculum": {"stages": [{"name": "a"}, {"name": "a"}]}}, "two stages are named 'a'"),
        ({"ppo": {"net_arch_pi": [0]}}, "ppo.net_arch_pi: .* use at most 6 layers"),
        ({"ppo": {"learning_rate": float("nan")}}, "ppo.learning_rate"),
        ([1], "a config must be a mapping"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(data, told):
    with pytest.raises(ConfigError, match=told):
        validate(data)


@pytest.mark.parametrize("name", TERM_NAMES)
def test_the_weight_of_any_one_term_is_enough(name):
    weights = dict.fromkeys(TERM_NAMES, 0.0) | {name: 0.5}
    assert validate({"reward": weights}).reward.model_dump() == weights


def test_yaml_goes_out_and_comes_back_the_same():
    config = validate({"name": "Ünï: #1", "ppo": {"target_kl": 0.03}, "curriculum": {"enabled": True}, "env": {"centre": None}})
    assert validate(parse_yaml(to_yaml(config))) == config


@pytest.mark.parametrize("name", presets())
def test_a_preset_is_valid_complete_and_commented(name):
    path = presets()[name]
    config = load_config(path)
    assert config.name == name
    text = path.read_text()
    assert text.endswith(to_yaml(config)), f"{path.name} is not what to_yaml writes; settings or comments have changed"


def test_the_plan_is_in_its_preset():
    config = load_config(presets()["ppo_training"])
    p = config.ppo
    assert (p.learning_rate, p.n_steps, p.batch_size, p.n_epochs, p.gamma, p.gae_lambda) == (3e-4, 2048, 64, 10, 0.99, 0.95)
    assert (p.clip_range, p.ent_coef, p.vf_coef, p.max_grad_norm, p.net_arch_pi, p.activation) == (0.2, 0.01, 0.5, 0.5, [128, 128], "tanh")
    rows = [(s.name, len(s.categories), s.difficulty, s.target_ssim, s.max_episodes, s.success_threshold) for s in config.curriculum.stages]
    assert config.curriculum.enabled
    assert rows == [
        ("simple_warmup", 1, 0.1, 0.75, 5000, 0.80),
        ("text_introduction", 2, 0.3, 0.80, 8000, 0.75),
        ("gradient_challenge", 3, 0.6, 0.85, 10000, 0.70),
        ("complex_mastery", 4, 1.0, 0.90, 15000, 0.65),
    ]


def test_the_required_gain_follows_the_difficulty_unless_set():
    assert [s.gain_needed() for s in plan_stages()] == pytest.approx([0.08, 0.24, 0.48, 0.80])
    assert StageConfig(difficulty=1.0, required_gain=0.1).gain_needed() == 0.1


def test_settings_reach_everywhere_and_keep_their_types():
    data = apply_settings(
        RunConfig().model_dump(), ["ppo.learning_rate=3e-4", "curriculum.stages.1.max_episodes=7", "ppo.target_kl=null", "name=x"]
    )
    config = validate(data)
    assert config.ppo.learning_rate == 3e-4
    assert config.curriculum.stages[1].max_episodes == 7
    assert config.ppo.target_kl is None


@pytest.mark.parametrize("setting", ["ppo.gamma", "=1", "curriculum.stages.9.name=x", "seed.a=1"])
def test_a_setting_that_leads_nowhere_is_refused(setting):
    with pytest.raises(ConfigError, match="--set"):
        apply_settings(RunConfig().model_dump(), [setting])


def test_a_file_that_is_no_config_is_told(tmp_path):
    path = tmp_path / "x.yaml"
    for text, told in [("a: [", "not valid YAML"), ("- 1", "must be a mapping"), ("\x00", "not valid YAML")]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=told):
            load_config(path)
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path / "none.yaml")
