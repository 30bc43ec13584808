using SaeService.Api.Explorer;
using Xunit;

namespace SaeService.Api.Tests;

/// <summary>How pages write numbers.</summary>
public sealed class ShownTests
{
    [Theory]
    [InlineData(0, "1")]
    [InlineData(-0.30103, "0.5")]
    [InlineData(-3, "0.001")]
    [InlineData(-5, "1e-5")]
    [InlineData(-4.38, "4.2e-5")]
    [InlineData(-4.0001, "1e-4")] // 9.998e-5
    [InlineData(-411.38, "4.2e-412")]
    public void A_probability_is_told_by_its_logarithm(double log10, string shown) => Assert.Equal(shown, Shown.Probability(log10));

    [Theory]
    [InlineData(0.049, "0.049")]
    [InlineData(3e-12, "3e-12")]
    [InlineData(0, "< 1e-300")]
    public void A_rate_that_a_double_can_not_hold_is_below_what_it_can(double rate, string shown) => Assert.Equal(shown, Shown.Rate(rate));
}
