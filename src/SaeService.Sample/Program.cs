using System.CommandLine;
using SaeService.Sample;
using SaeService.Sample.Training;

var seed = new Option<ulong>("--seed") { Description = "decides every word", DefaultValueFactory = _ => Bundle.CorpusSeed };
var documents = new Option<int>("--documents") { Description = "how many", DefaultValueFactory = _ => Bundle.CorpusDocuments };
var file = new Option<string>("--out") { Description = "CoNLL-U file to write", Required = true };
var corpus = new Command("corpus", "Write documents of the grammar with their gold labels.") { seed, documents, file };
corpus.SetAction(parsed =>
{
    var words = Bundle.WriteCorpus(parsed.GetValue(file)!, parsed.GetValue(seed), parsed.GetValue(documents));
    Console.WriteLine($"{words} words in {parsed.GetValue(file)}");
});

var folder = new Option<string>("--out") { Description = "bundle folder to write", Required = true };
var steps = new Option<int>("--steps") { Description = "optimizer steps of 4 x 256 tokens", DefaultValueFactory = _ => new TrainingSettings().Steps };
var train = new Command("train", "Make the whole bundle: tokenizer, model, corpus slice, evaluation.") { folder, steps };
train.SetAction(parsed =>
{
    var settings = new TrainingSettings(Steps: parsed.GetValue(steps));
    Bundle.Make(parsed.GetValue(folder)!, settings, Console.Out);
    Bundle.Report(parsed.GetValue(folder)!, settings, Console.Out);
});

var bundle = new Option<string>("--bundle") { Description = "bundle folder", DefaultValueFactory = _ => "src/SaeService.Sample/bundle" };
var verify = new Command("verify", "Make the corpus slice again, compare all hashes, evaluate the model.") { bundle };
verify.SetAction(parsed =>
{
    var faults = Bundle.Faults(parsed.GetValue(bundle)!);
    foreach (var fault in faults)
        Console.Error.WriteLine(fault);
    Bundle.Print(Bundle.Evaluate(parsed.GetValue(bundle)!, Bundle.HeldOutDocuments), Console.Out);
    return faults.Count == 0 ? 0 : 1;
});

var report = new Command("report", "Evaluate the model of a bundle and write its report.json, as train does at its end.") { bundle };
report.SetAction(parsed => Bundle.Report(parsed.GetValue(bundle)!, new TrainingSettings(), Console.Out));

var root = new RootCommand("The bundled sample: a grammar, a tokenizer and a small language model of its text.") { corpus, train, verify, report };
return root.Parse(args).Invoke();
