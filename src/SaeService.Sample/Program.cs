using TorchSharp;
using var a = torch.randn(512, 512); using var b = a.mm(a); Console.WriteLine(b.shape[0] + " threads " + torch.get_num_threads());
